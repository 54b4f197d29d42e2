"""Small folders in the layout of official distributions, with real encoders: FFmpeg, libsndfile,
Pillow, numpy.
"""

from __future__ import annotations

import csv
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image

from msam_lib.data._cremad_source import EMOTIONS, test_clips

RATE = 16_000


def write_video(
    path: Path, *, seconds: float = 1.2, fps: int = 10, size=(32, 24), colour=0
) -> None:
    """A video of plain frames: the red value of frame k is colour + 2k."""
    codec = {".flv": "flv", ".mp4": "mpeg4"}[path.suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options={"qscale": "2"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for k in range(round(seconds * fps)):
            pixels = np.full((size[1], size[0], 3), 100, np.uint8)
            pixels[..., 0] = colour + 2 * k
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def write_clip(path: Path, *, hertz: float = 440, seconds: float = 1.2, colour=0) -> None:
    """A video as of `write_video`, with a stereo tone that only its left channel has."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10, options={"qscale": "2"})
        pictures.width, pictures.height, pictures.pix_fmt = 32, 24, "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="stereo")
        for k in range(round(seconds * 10)):
            pixels = np.full((24, 32, 3), 100, np.uint8)
            pixels[..., 0] = colour + 2 * k
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        wave = 0.6 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
        both = np.stack([wave, 0 * wave]).astype(np.float32)
        for start in range(0, both.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(both[:, start : start + 1024]), "fltp", "stereo"
            )
            frame.sample_rate, frame.pts = RATE, start
            container.mux(sound.encode(frame))
        for stream in (pictures, sound):
            container.mux(stream.encode())


def write_sound(path: Path, *, hertz: float = 440, seconds: float = 0.4) -> None:
    t = np.arange(round(seconds * RATE)) / RATE
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * t), RATE, subtype="PCM_16")


def write_image(path: Path, value: int, size=(20, 16)) -> None:
    Image.new("RGB", size, (value, 90, 160)).save(path, quality=95)


def write_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_NONNUMERIC).writerows([header, *rows])


def cremad_names(train: int = 8, test: int = 2) -> list[str]:
    """Clips of every emotion, of each so many of the published training and test part."""
    published = sorted(test_clips())
    names = []
    for i, emotion in enumerate(EMOTIONS):
        names += [n for n in published if n.split("_")[2] == emotion][:test]
        sentences = ("DFA", "IOM", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
        made = [f"{1001 + 7 * i + k}_{s}_{emotion}_XX" for k, s in enumerate(sentences)]
        names += [n for n in made if n not in published][:train]
    return names


def make_cremad(folder: Path, names: list[str]) -> Path:
    """CREMA-D's layout: an emotion has a pitch and a colour of its own."""
    for sub in ("AudioWAV", "VideoFlash"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    codes, letters = list(EMOTIONS), [letter for _, letter in EMOTIONS.values()]
    votes = []
    for number, name in enumerate(names, start=1):
        c = codes.index(name.split("_")[2])
        write_sound(folder / "AudioWAV" / f"{name}.wav", hertz=200 + 300 * c)
        write_video(folder / "VideoFlash" / f"{name}.flv", colour=30 * c)
        # Everybody hears anger as well, and sees what was meant.
        heard = "A" if letters[c] == "A" else f"A:{letters[c]}"
        votes.append([str(number), name, heard, "50", letters[c], "60", letters[c], "70"])
    stimuli = [[k, name] for k, name in enumerate(names, start=1)]
    write_csv(folder / "SentenceFilenames.csv", ["Stimulus_Number", "Filename"], stimuli)
    levels = [f"{m}{x}" for m in ("Voice", "Face", "MultiModal") for x in ("Vote", "Level")]
    table = folder / "processedResults" / "summaryTable.csv"
    write_csv(table, ["", "FileName", *levels], votes)
    return folder
