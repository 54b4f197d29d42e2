"""Files of the downloaded data sets: read from `$MSAM_DATA` or downloaded into a cache, and always
verified; and the cache of what was made from them.

Archives are verified by their members: the same files give the same digest (sha256 over the lines
"sha256  name" of the members, sorted by name) in any zip or tar.gz. Nothing that was downloaded is
ever unpickled.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from msam_lib._utils.files import write_atomically
from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.errors import DatasetCorrupt, DatasetMissing

T = TypeVar("T")
INSTEAD = f"To continue without it: dataset={DEFAULT_DATASET!r}."


@dataclass(frozen=True)
class Source:
    """One file: its path under `$MSAM_DATA`, its digest, and where to download it.

    Args:
        path: under the data folder.
        sha256: of the file at that path.
        url: the upstream file; its digest is `url_sha256` where it differs ("" where unknown).
        members: regular expression of the members that are read, for an archive. Where it has a
            group "name", a member goes by that part of its path: an archive that GitHub packs
            has everything below a folder "repository-commit".
        members_sha256: digest of those members.
        files: {member: sha256} where upstream has no archive but single files; `url` then holds
            "{member}".
        note: printed before a download; "" prints nothing.
    """

    path: str
    sha256: str
    url: str
    url_sha256: str = ""
    members: str = ""
    members_sha256: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def cache_folder() -> Path:
    """`$MSAM_CACHE`, or the user's cache folder for this package."""
    import pooch

    return Path(os.environ.get("MSAM_CACHE") or pooch.os_cache("msam_lib"))


def cached(
    name: str,
    make: Callable[[], T],
    *,
    read: Callable[[Path], T],
    write: Callable[[T, Path], object],
) -> T:
    """What `make()` returns; it is called once, and the result kept as a file of the cache.

    Args:
        name: of the file; it has to change with everything that determines the content.
        make: makes the content.
        read: called as `read(path)`, returns the content of the file.
        write: called as `write(content, path)`.
    """
    path = cache_folder() / name
    if path.exists():
        try:
            return read(path)
        except Exception:  # whatever is wrong with the file, making it again repairs it
            path.unlink()
    content = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda p: write(content, p))
    return content


def fetch(source: Source) -> Path:
    """The path of the verified file: under `$MSAM_DATA` if that is set, else in the cache, to which
    it is downloaded if need be.

    Raises:
        DatasetMissing: the file is missing and cannot be downloaded.
        DatasetCorrupt: the file has another digest.
    """
    folder = os.environ.get("MSAM_DATA")
    if folder is None:
        return _download(source)
    path = Path(folder) / source.path
    if not path.is_file():
        raise DatasetMissing(
            f"{path} is not there (MSAM_DATA={folder}). Put the file there, or unset MSAM_DATA "
            f"to download it from {source.url}. {INSTEAD}"
        )
    if not source.members and sha256_of(path) != source.sha256:
        raise _wrong(path, sha256_of(path), source.sha256)
    return path


def read_members(source: Source) -> dict[str, bytes]:
    """{name: content} of an archive's members, verified.

    Raises:
        DatasetCorrupt: not an archive, truncated, or with other members than expected.
    """
    if source.files and "MSAM_DATA" not in os.environ:
        return {name: _single(source, name).read_bytes() for name in sorted(source.files)}
    path = fetch(source)
    # The members whose names match, sorted, under the name that the pattern gives them.
    wanted = re.compile(source.members)
    try:
        hits = ((wanted.search(n), n, read) for n, read in _contents(path))
        members = dict(sorted((hit.groupdict().get("name", n), r) for hit, n, r in hits if hit))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise DatasetCorrupt(
            f"{path} cannot be read as an archive ({error}): it is truncated or not what its name "
            "says. Delete it and fetch it again."
        ) from error
    # The digest depends on names and contents only, so that any packing of them will do.
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items()]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    if digest != source.members_sha256:
        raise _wrong(path, digest, source.members_sha256, f" over {len(members)} members")
    return members


def sha256_of(path: Path) -> str:
    """The SHA-256 digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file in a zip or tar archive."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name.removeprefix("./"), archive.read(name)
        return
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name.removeprefix("./"), content.read()


def _download(source: Source) -> Path:
    """The path of the upstream file in the cache, downloaded if it is not there."""
    import pooch

    # An archive keeps its upstream name, since it may differ from the one under the data folder.
    name = (
        source.path if not source.members else f"{Path(source.path).parent}/{Path(source.url).name}"
    )
    digest = source.url_sha256 or ("" if source.members else source.sha256)
    target = cache_folder() / "downloads" / name
    if source.note and not target.exists():
        print(source.note)
    try:
        path = pooch.retrieve(
            source.url,
            known_hash=f"sha256:{digest}" if digest else None,
            path=target.parent,
            fname=target.name,
            progressbar=True,
        )
    except ValueError as error:  # raised by pooch where the digest differs
        raise DatasetCorrupt(f"{source.url} is not the expected file: {error}") from error
    except Exception as error:  # a network fails in many ways
        raise DatasetMissing(
            f"{source.url} could not be downloaded ({type(error).__name__}: {error}). Set "
            f"MSAM_DATA to a folder that holds {source.path}, or try again with a network. "
            + INSTEAD
        ) from error
    return Path(path)


def _single(source: Source, member: str) -> Path:
    """The path of one file of a source that has no archive upstream, downloaded."""
    path = str(Path(source.path).with_suffix("") / member)
    return _download(
        replace(
            source,
            path=path,
            url=source.url.format(member=member),
            sha256=source.files[member],
            members="",
        )
    )


def _wrong(path: Path, found: str, expected: str, what: str = "") -> DatasetCorrupt:
    """The error for a file with the digest `found` instead of the expected one."""
    return DatasetCorrupt(
        f"{path} has sha256 {found[:16]}...{what}, but {expected[:16]}... is "
        "expected: the file is truncated or was changed. Delete it and fetch it again."
    )
