"""The files of AV-MNIST: their paths, digests and origins."""

from __future__ import annotations

from msam_lib.data._download import Source

MNIST = {
    "train_images": Source(
        "mnist/train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
    ),
    "train_labels": Source(
        "mnist/train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
    ),
    "test_images": Source(
        "mnist/t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
    ),
    "test_labels": Source(
        "mnist/t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz",
    ),
}

FSDD = Source(
    "fsdd/free-spoken-digit-dataset-1.0.10-recordings.zip",
    "96ceaf8b7c9094b3f3c51347716fedcf76bc331491273ac0bfbe8795a0d958f8",
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.10.tar.gz",
    url_sha256="feb479fad3a37883c3d21ed7f982281c2dd1c18d5aefd7e8a5d50f58023392aa",
    members=r"/README\.md$|/recordings/[^/]+\.wav$",
    members_sha256="4761fb66d5438007f7766fae239a2396282706d2799ec2e4346699a1618bc061",
)

NOISE = Source(
    "noise/speech_commands_background_noise.zip",
    "710d9230e05c72e99866394bfcfba1ababba14763119093d59152267e4cfaa22",
    "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    members=r"_background_noise_/[^/]+\.wav$",
    members_sha256="82a48b0a389195b4bffb453a14271de9f98eb9c7be5735056921bc2e3ad3745c",
    note="The background noise comes in an archive of 2.3 GB; it is fetched once.",
)

SOURCES: dict[str, Source] = {**MNIST, "fsdd": FSDD, "noise": NOISE}
