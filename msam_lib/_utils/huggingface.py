"""What `transformers` loads by name or folder, from this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msam_lib._utils.extras import optional
from msam_lib.errors import MsamError

PREFIX = "hf:"


def from_pretrained(kind: str, name: str, needed: str, **options: Any) -> Any:
    """Something of transformers; nothing is fetched, and no code of a repository is run.

    Args:
        kind: class of transformers, such as `"AutoModel"`.
        name: a folder as `save_pretrained` writes it, or a name in the cache.
        needed: what the folder has to hold, for the error.
        **options: of its `from_pretrained`.

    Raises:
        MsamError: the package is not installed, or there is no such thing.
    """
    package = optional("transformers", "hf", f"{PREFIX}{name}")
    folder = Path(name).expanduser()
    source = str(folder) if folder.is_dir() else name
    try:
        loader = getattr(package, kind)
        return loader.from_pretrained(source, local_files_only=True, **options)
    except Exception as error:  # OSError, ValueError, and those of safetensors and tokenizers
        reason = str(error).strip().split("\n")[0][:200]
        raise MsamError(
            f"{PREFIX}{name} cannot be loaded: there is no such folder with {needed}, and no whole "
            f"model of this name in the cache ({type(error).__name__}: {reason}). Fetch it once, "
            f"`hf download {name}`, or name a folder that save_pretrained wrote."
        ) from error
