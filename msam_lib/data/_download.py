"""Files of the downloaded data sets: found in `$MSAM_DATA` or fetched into a cache, and always
verified.

Archives are verified by their members: the same files in a zip or a tar.gz, whoever packed them,
give the same digest, sha256 over the lines "sha256  name" of the members sorted by name. Nothing
that was downloaded is ever unpickled.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from msam_lib.errors import DatasetCorrupt, DatasetMissing


@dataclass(frozen=True)
class Source:
    """One file: where it lies under `$MSAM_DATA`, what it must be, and where it can be had.

    Args:
        path: under the data folder.
        sha256: of the file that lies there.
        url: the upstream file; its own digest is `url_sha256` where it differs ("" where unknown).
        members: regular expression of the members that are read, for an archive. Where it has a
            group "name", a member goes by that part of its path: an archive that GitHub packs
            has everything below a folder "repository-commit".
        members_sha256: digest of those members.
        files: {member: sha256} where upstream has no archive but single files; `url` then holds
            "{member}".
        note: said before a download, where a user should know something.
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


def fetch(source: Source) -> Path:
    """The verified file, from `$MSAM_DATA` if that is set, else from the cache, else downloaded.

    Raises:
        DatasetMissing: it is in neither and cannot be downloaded.
        DatasetCorrupt: its digest is not what it should be.
    """
    folder = os.environ.get("MSAM_DATA")
    if folder is None:
        return _download(source)
    path = Path(folder) / source.path
    if not path.is_file():
        raise DatasetMissing(
            f"{path} is not there (MSAM_DATA={folder}). Put the file there, or unset MSAM_DATA "
            f"to download it from {source.url}. To go on without it: dataset='digits'."
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
    wanted = re.compile(source.members)
    try:
        hits = ((wanted.search(n), n, read) for n, read in _contents(path))
        found = dict(sorted((hit.groupdict().get("name", n), r) for hit, n, r in hits if hit))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise DatasetCorrupt(
            f"{path} cannot be read as an archive ({error}): it is truncated or not what its name "
            "says. Delete it and fetch it again."
        ) from error
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in found.items()]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    if digest != source.members_sha256:
        raise _wrong(path, digest, source.members_sha256, f" over {len(found)} members")
    return found


def sha256_of(path: Path) -> str:
    """Digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
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
    import pooch

    name = (
        source.path if not source.members else f"{Path(source.path).parent}/{Path(source.url).name}"
    )
    digest = source.url_sha256 or ("" if source.members else source.sha256)
    target = cache_folder() / "downloads" / name
    if source.note and not target.exists():
        print(source.note)
    try:
        found = pooch.retrieve(
            source.url,
            known_hash=f"sha256:{digest}" if digest else None,
            path=target.parent,
            fname=target.name,
            progressbar=True,
        )
    except ValueError as error:  # pooch's word for a wrong digest
        raise DatasetCorrupt(f"{source.url} is not the expected file: {error}") from error
    except Exception as error:  # whatever a network can do
        raise DatasetMissing(
            f"{source.url} could not be downloaded ({type(error).__name__}: {error}). Set "
            f"MSAM_DATA to a folder that holds {source.path}, or try again with a network. "
            "To go on without it: dataset='digits'."
        ) from error
    return Path(found)


def _single(source: Source, member: str) -> Path:
    """One file of a source that has no archive upstream, downloaded."""
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
    return DatasetCorrupt(
        f"{path} has sha256 {found[:16]}...{what}, but {expected[:16]}... is "
        "expected: the file is truncated or was changed. Delete it and fetch it again."
    )
