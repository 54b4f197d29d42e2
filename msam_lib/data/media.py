"""Decoders: sound by libsndfile, video by FFmpeg (PyAV), images by Pillow.

They belong to the extra `media`, are imported when the first file is read, and name a damaged file
and what is wrong with it. A file that Git LFS has left as a pointer is recognised.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msam_lib._utils.extras import optional
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError

LFS_POINTER = b"version https://git-lfs"


def need(module: str) -> Any:
    """A module of the extra `media`.

    Raises:
        MsamError: it is not installed.
    """
    return optional(module, "media")


def content(path: Path) -> bytes:
    """The bytes of a media file.

    Raises:
        DatasetMissing: there is no such file, or Git LFS has left a pointer in its place.
        DatasetCorrupt: it is empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetMissing(f"{path} is not there ({error.strerror}).") from error
    if data.startswith(LFS_POINTER):
        raise DatasetMissing(
            f"{path} is a Git LFS pointer of {len(data)} bytes, not the media file itself. In the "
            "clone run `git lfs install` and `git lfs pull`; a zip downloaded from the website "
            "has pointers only."
        )
    if not data:
        raise DatasetCorrupt(f"{path} is empty (0 bytes). Fetch it again.")
    return data


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        DatasetMissing: see `content`.
        DatasetCorrupt: it is empty, or not in UTF-8.
    """
    data = content(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetCorrupt(
            f"{path} is not a text in UTF-8 ({error}). Save it anew with that encoding."
        ) from error


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """A sound file (wav, flac, ogg, mp3) as float32 samples (S,) in [-1, 1] and its rate in Hz;
    channels are averaged.

    Raises:
        DatasetMissing: see `content`.
        DatasetCorrupt: it cannot be decoded, or holds no samples.
    """
    soundfile = need("soundfile")
    data = content(path)
    try:
        wave, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise DatasetCorrupt(f"{path} is not a sound file ({error}). Fetch it again.") from error
    if not len(wave):
        raise DatasetCorrupt(f"{path} holds no sound: it has 0 samples. Fetch it again.")
    return wave.mean(1), rate


def read_image(path: Path, height: int, width: int, *, middle: bool = False) -> np.ndarray:
    """An image file as bytes (3, height, width), RGB, resized whatever its proportions; with
    `middle`, cut to the right proportions in its middle first.

    Raises:
        DatasetMissing: see `content`.
        DatasetCorrupt: it cannot be decoded.
    """
    images = need("PIL.Image")
    data = content(path)
    try:
        with images.open(io.BytesIO(data)) as image:
            whole, how = image.convert("RGB"), images.Resampling.BILINEAR
            if middle:
                small = need("PIL.ImageOps").fit(whole, (width, height), how)
            else:
                small = whole.resize((width, height), how)
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetCorrupt(f"{path} is not an image ({error}). Fetch it again.") from error
    return np.asarray(small).transpose(2, 0, 1)


def read_frames(path: Path, count: int, height: int, width: int) -> np.ndarray:
    """The first `count` frames of a video at one frame per second: bytes (count, 3, height, width).

    The frames have the numbers 0, f, 2f, ... with f the frames per second, rounded down, as in the
    code of OGM-GE; where the video ends earlier, its last such frame is repeated. A container's
    count of frames is not trusted (it is 0 in FLV): all packets are read, and decoded until enough
    frames are there.

    Args:
        path: the video.
        count: number of frames.
        height, width: to which a frame is resized, whatever its proportions.

    Raises:
        DatasetMissing: see `content`.
        DatasetCorrupt: it has no pictures, cannot be decoded, or ends before its stated length.
    """
    av = need("av")
    data = content(path)
    try:
        with av.open(io.BytesIO(data)) as container:
            if not container.streams.video:
                raise DatasetCorrupt(f"{path} has no video stream. Fetch it again.")
            frames, last = _decoded(container, count, height, width)
            promised = (container.duration or 0) / av.time_base
    except av.FFmpegError as error:
        raise DatasetCorrupt(
            f"{path} cannot be decoded as a video ({error}): it is truncated or damaged. Fetch it "
            "again."
        ) from error
    if not frames:
        raise DatasetCorrupt(f"{path} has no picture that can be decoded. Fetch it again.")
    # A recording's streams differ in length by tenths of a second.
    if promised - last > max(0.5, 0.2 * promised):
        raise DatasetCorrupt(
            f"{path} is truncated: it is {promised:.2f} s long by its header, but its pictures end "
            f"at {last:.2f} s. Fetch it again."
        )
    return np.stack(frames + [frames[-1]] * (count - len(frames)))


def read_track(path: Path) -> tuple[np.ndarray, int]:
    """The sound of a video as float32 samples (S,) and its rate in Hz; channels are averaged.

    Raises:
        DatasetMissing: see `content`.
        DatasetCorrupt: it has no sound, or cannot be decoded.
    """
    av = need("av")
    pieces: list[np.ndarray] = []
    try:
        with av.open(io.BytesIO(content(path))) as container:
            if container.streams.audio:
                stream = container.streams.audio[0]
                rate, floats = int(stream.rate), av.AudioResampler(format="fltp")
                for frame in container.decode(stream):
                    pieces += [out.to_ndarray().mean(0) for out in floats.resample(frame)]
    except av.FFmpegError as error:
        raise DatasetCorrupt(
            f"{path} cannot be decoded ({error}): it is truncated or damaged. Fetch it again."
        ) from error
    if not pieces:
        raise DatasetCorrupt(f"{path} has no sound. Fetch it again, or delete it.")
    return np.concatenate(pieces).astype(np.float32), rate


def _decoded(container: Any, count: int, height: int, width: int) -> tuple[list[np.ndarray], float]:
    """The chosen frames (3, height, width), and the time in seconds at which the pictures end."""
    stream = container.streams.video[0]
    interval = max(1, int(stream.average_rate or 1))
    frames: list[np.ndarray] = []
    seen, last = 0, 0.0
    for packet in container.demux(stream):
        if packet.pts is not None:
            last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if len(frames) == count:
            continue
        for frame in packet.decode():
            if seen % interval == 0 and len(frames) < count:
                small = frame.reformat(width, height, "rgb24").to_ndarray()
                frames.append(small.transpose(2, 0, 1))
            seen += 1
    return frames, last


def read_array(path: Path) -> np.ndarray:
    """The array of a .npy file; nothing is unpickled.

    Raises:
        DatasetMissing: see `content`.
        DatasetCorrupt: it is no array of numbers.
    """
    data = content(path)
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DatasetCorrupt(f"{path} is not an array of numbers ({error}).") from error


SOUND = (".wav", ".flac", ".ogg", ".mp3")
VIDEO = (".flv", ".mp4", ".avi", ".mkv", ".webm", ".mov")
IMAGE = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
ARRAY = (".npy",)
TEXT = (".txt",)
READERS: dict[str, Sequence[str]] = {
    "sound": SOUND, "video": VIDEO, "image": IMAGE, "array": ARRAY, "text": TEXT,
}  # fmt: skip


def kind_of(name: str) -> str:
    """sound, video, image, array or text, by the ending of a file's name.

    >>> kind_of("clips/A.WAV")
    'sound'

    Raises:
        MsamError: another ending.
    """
    ending = Path(name).suffix.lower()
    for kind, endings in READERS.items():
        if ending in endings:
            return kind
    known = ", ".join(e for endings in READERS.values() for e in endings)
    raise MsamError(f"{name!r}: files with the ending {ending!r} are not read; these are: {known}.")
