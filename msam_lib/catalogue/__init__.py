"""What there is: one row per method, data set and fusion.

Whoever adds one of them writes its file and its row here; the command line, the search, the tables,
the cards and the shared tests read the rows. A target is `"module:name"` (a leading dot stands for
`msam_lib`), imported when it is first asked for, so that reading the catalogue needs no torch. A
row may also be added at run time, with a target in a module of your own; it holds in that process
alone, so train with `jobs=1` then.

>>> METHODS["msam"].title, METHODS["msam"].kind, FUSIONS["maxout"].words
('M-SAM', 'landscape', 'early fusion (MaxOut)')
"""

from __future__ import annotations

from msam_lib.catalogue._prepared import PREPARED
from msam_lib.catalogue._rows import DatasetRow, FusionRow, MethodRow
from msam_lib.catalogue._steps import STEPS

# {version of the training's meaning: methods whose steps give other numbers since}, see CHANGELOG.
# Frozen results of an earlier version keep those rows until they are measured again.
CORRECTED: dict[int, tuple[str, ...]] = {
    2: (
        *("ogm_ge", "mses", "mslr", "miles", "mmpareto", "gblend", "lfm", "sample_valuation"),
        *("inforeg", "aug", "x_sam", "msam"),
    )
}
VERSION = max(CORRECTED)

# In the order of rows and panels.
METHODS: dict[str, MethodRow] = {
    "unimodal": MethodRow(".methods.unimodal:Unimodal", "Unimodal", "loss"),
    "joint": MethodRow(".methods.joint:Joint", "Joint training", "nothing"),
    "joint_unimodal": MethodRow(
        ".methods.joint_unimodal:JointUnimodal",
        "Joint + unimodal losses",
        "loss",
        "weight",
        (0.3, 1.0, 3.0),
    ),
    "modality_dropout": MethodRow(
        ".methods.modality_dropout:ModalityDropout",
        "Modality dropout",
        "data",
        "probability",
        (0.1, 0.3, 0.5),
    ),
    "sam": MethodRow(".methods.sam:SAM", "SAM", "landscape", "rho", (0.01, 0.05, 0.2)),
    "asam": MethodRow(".methods.sam:ASAM", "ASAM", "landscape", "rho", (0.1, 0.5, 1.5)),
    "momentum_sam": MethodRow(
        ".methods.momentum_sam:MomentumSAM", "Momentum-SAM", "landscape", "rho", (0.05, 0.3, 1.0)
    ),
    "look_sam": MethodRow(
        ".methods.look_sam:LookSAM", "LookSAM", "landscape", "alpha", (0.2, 0.7, 1.0)
    ),
    "cr_sam": MethodRow(".methods.cr_sam:CRSAM", "CR-SAM", "landscape", "rho", (0.01, 0.1, 0.3)),
    "x_sam": MethodRow(".methods.x_sam:XSAM", "X-SAM", "landscape", "rho", (0.01, 0.05, 0.2)),
    "mses": MethodRow(".methods.mses:MSES", "MSES", "schedule", "patience", (1, 3, 5)),
    "mslr": MethodRow(".methods.mslr:MSLR", "MSLR", "schedule"),
    "ogm_ge": MethodRow(".methods.ogm_ge:OGMGE", "OGM-GE", "gradient", "alpha", (0.1, 0.3, 0.8)),
    "agm": MethodRow(".methods.agm:AGM", "AGM", "gradient", "alpha", (0.2, 1.0, 2.5)),
    "mmpareto": MethodRow(
        ".methods.mmpareto:MMPareto", "MMPareto", "gradient", "gamma", (0.75, 1.0, 1.5)
    ),
    "cggm": MethodRow(".methods.cggm:CGGM", "CGGM", "gradient", "scale", (0.8, 1.0, 1.3)),
    "reconboost": MethodRow(
        ".methods.reconboost:ReconBoost", "ReconBoost", "schedule", "stage_epochs", (1, 2, 4)
    ),
    "gblend": MethodRow(".methods.gblend:GBlend", "G-Blend", "loss", "super_epoch", (3, 5, 10)),
    "pmr": MethodRow(".methods.pmr:PMR", "PMR", "loss", "alpha", (0.1, 0.3, 1.0)),
    "mla": MethodRow(".methods.mla:MLA", "MLA", "gradient"),
    "aug": MethodRow(".methods.aug:AUG", "AUG", "loss", "lam", (0.5, 1.0, 2.0)),
    "inforeg": MethodRow(
        ".methods.inforeg:InfoReg", "InfoReg", "gradient", "beta", (0.01, 0.1, 0.95)
    ),
    "miles": MethodRow(".methods.miles:MILES", "MILES", "schedule", "threshold", (0.1, 0.2, 0.4)),
    "mnl": MethodRow(".methods.mnl:MNL", "MNL", "loss", "lam", (0.3, 0.7, 1.0)),
    "lfm": MethodRow(".methods.lfm:LFM", "LFM", "loss", "start", (0.5, 0.795, 0.95)),
    "diagnose_relearn": MethodRow(
        ".methods.diagnose_relearn:DiagnoseRelearn",
        "Diagnose & re-learn",
        "schedule",
        "period",
        (3, 5, 10),
    ),
    "sample_valuation": MethodRow(
        ".methods.sample_valuation:SampleValuation", "Sample valuation", "data", "warmup", (1, 3, 5)
    ),
    "lnln": MethodRow(".methods.lnln:LNLN", "LNLN", "model"),
    "opm": MethodRow(".methods.opm:OPM", "OPM", "data", "q_base", (0.2, 0.5, 0.8)),
    "dgl": MethodRow(".methods.dgl:DGL", "DGL", "gradient", "alpha", (1.0, 4.0, 8.0)),
    "arl": MethodRow(".methods.arl:ARL", "ARL", "gradient", "gamma", (1.0, 4.0, 8.0)),
    "mmcosine": MethodRow(
        ".methods.mmcosine:MMCosine", "MMCosine", "loss", "scale", (5.0, 10.0, 20.0)
    ),
    "umt": MethodRow(".methods.umt:UMT", "UMT", "loss", "weight", (1.0, 10.0, 30.0)),
    "g2d": MethodRow(".methods.g2d:G2D", "G2D", "loss", "stage_epochs", (1, 3, 5)),
    "greedy": MethodRow(
        ".methods.greedy:Greedy", "Greedy", "model", "threshold", (0.001, 0.01, 0.1)
    ),
    "amco": MethodRow(".methods.amco:AMCo", "AMCo", "data", "epsilon", (0.1, 0.3, 1.0)),
    "masam": MethodRow(".methods.masam:MASAM", "MASAM", "landscape", "rho", (0.05, 0.1, 0.3)),
    "msam": MethodRow(".methods.msam:MSAM", "M-SAM", "landscape", "rho", (0.01, 0.05, 0.2)),
}
METHODS |= {name: METHODS[name]._replace(steps=steps) for name, steps in STEPS.items()}

DATASETS: dict[str, DatasetRow] = {
    "digits": DatasetRow(
        ".data.digits:load",
        "1,797 real 8x8 images of digits with synthesised speech and misspelled words; embedded",
        "images: UCI Optical Recognition of Handwritten Digits (CC BY 4.0), from scikit-learn; "
        "speech: made with eSpeak NG",
        {
            "visual_noise": "standard deviation of the pixel noise (0.35)",
            "audio_noise": "standard deviation of extra noise on the spectrogram (0)",
        },
    ),
    "avmnist_mini": DatasetRow(
        ".data.avmnist_mini:load",
        "6,600 real pairs of AV-MNIST: images (dominant), voices in noise (starved); embedded",
        "excerpts: MNIST (CC BY-SA 3.0), FSDD (CC BY-SA 4.0), Speech Commands (CC BY 4.0)",
        {
            "snr_db": "signal-to-noise ratio of the audio in decibels; None for clean speech (-12)",
            "energy": "share of the images' energy that is kept; None for whole images (0.25)",
            "n_train": "training samples (5400)",
            "n_val": "validation samples (300)",
            "n_test": "test samples (900)",
        },
    ),
    "avmnist": DatasetRow(
        ".data.avmnist:load",
        "real MNIST images (75 % of the energy removed), real spoken digits in noise; downloaded",
        "MNIST (LeCun, Cortes, Burges), Free Spoken Digit Dataset (CC BY-SA 4.0), "
        "Speech Commands (CC BY 4.0)",
        {
            "snr_db": "signal-to-noise ratio of the audio in decibels; None for clean speech (-12)",
            "energy": "share of the images' energy that is kept; None for whole images (0.25)",
            "size": "of the spectrograms: mini 32x32, small 40x49, paper 112x112 (small)",
            "split": "take: recordings kept apart; speaker: speakers kept apart (take)",
            "n_train": "training samples (55000)",
            "n_val": "validation samples (5000)",
            "n_test": "test samples (10000)",
        },
    ),
    "signs": DatasetRow(
        ".data.signs:load",
        "tri-modal digits: real images, noisy real speech, real hand signs; downloaded",
        "as avmnist, and the Sign Language Digits Dataset (Mavi, Dikle; Apache-2.0)",
        {
            "components": "principal components kept of the hand signs; 0 keeps all (8)",
            "snr_db": "signal-to-noise ratio of the audio in decibels (-12)",
            "n_train": "training samples (20000)",
            "n_val": "validation samples (2000)",
            "n_test": "test samples (4000)",
        },
    ),
    "mosi": DatasetRow(
        ".data.mosi:load",
        "real utterance features (text, audio, visual) of film reviews, 2 classes; downloaded",
        "CMU-MOSI (Zadeh et al. 2016), for research use; features of Poria et al. 2017",
        {"val_share": "share of the official test part's videos that validate (0.33)"},
    ),
    "mfeat": DatasetRow(
        ".data.mfeat:load",
        "real numerals in six views (Fourier, pixels, moments, ...), 10 classes; downloaded",
        "UCI Multiple Features (Duin; CC BY 4.0)",
        {"n_train": "training samples (1300)", "n_val": "validation samples (300)"},
    ),
    "isl": DatasetRow(
        ".data.isl:load",
        "real sign language letters by EMG and three motion sensors, 26 classes; downloaded",
        "doi:10.1016/j.dib.2020.106455, free for research and education",
        {"length": "pieces a recording is averaged in (25)"},
    ),
    "synthetic": DatasetRow(
        ".data.synthetic:load",
        "Gaussian modalities with stated signal-to-noise ratio, redundancy and synergy; made up",
        "made here; the right answer about dominance is known",
        {
            "n_modalities": "number of modalities (2)",
            "snr": "signal-to-noise ratio of each modality ((2, 1))",
            "redundancy": "share of samples whose class every modality shows (1)",
            "synergy": "share of samples whose class only all modalities together show (0)",
            "n_classes": "number of classes (4)",
            "dim": "length of each vector (16)",
            "task": "classification (default), multilabel or regression",
            "n_train": "training samples (2000)",
            "n_val": "validation samples (500)",
            "n_test": "test samples (1000)",
        },
    ),
    **PREPARED,
}

# Embedded, and small enough for two cores: what is trained and drawn where nothing else is named.
DEFAULT_DATASET = "avmnist_mini"

FUSIONS: dict[str, FusionRow] = {
    "late": FusionRow(".models.fusions.additive:LateFusion", "late fusion", "late"),
    "concat": FusionRow(".models.fusions.additive:ConcatFusion", "concatenation", "concat"),
    "maxout": FusionRow(".models.fusions.early:MaxoutFusion", "early fusion (MaxOut)", "early"),
    "sum": FusionRow(".models.fusions.early:SumFusion", "summed features", "sum"),
    "gated": FusionRow(".models.fusions.early:GatedFusion", "gated fusion", "gated"),
    "film": FusionRow(".models.fusions.early:FiLMFusion", "FiLM fusion", "film"),
    "lnln": FusionRow(".models.fusions.lnln:LNLNFusion", "LNLN's fusion", "lnln"),
    "guided": FusionRow(".models.fusions.guided:GuidedFusion", "guided attention", "guided"),
}
