"""Models fetched from the Hugging Face Hub, by the library that brings its tokens and mirrors."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

from speech2face.console import ProgressCallback
from speech2face.errors import ModelError
from speech2face.extras import need_extras
from speech2face.model_addresses import HubAddress
from speech2face.model_archives import MOST_FILES


def fetch_from_hub(
    address: HubAddress, folder: Path, most_bytes: int, show: ProgressCallback
) -> None:
    """Write the files at the top of a repository into `folder`.

    Raises ModelError where the extra `hub` is not installed, there is no such repository, it cannot
    be reached, or it has more than `most_bytes`: the message is a reason, without the address.
    """
    need_extras("hub")
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    try:
        info = HfApi().model_info(address.repository, revision=address.commit, files_metadata=True)
        # Weights in subfolders, and names that Git itself uses, are no part of a model.
        files = [f for f in info.siblings or () if "/" not in f.rfilename and f.rfilename[0] != "."]
        size = sum(file.size or 0 for file in files)
        if size > most_bytes or len(files) > MOST_FILES:
            raise ModelError(
                f"{len(files)} files of {size:,} bytes; a model has at most {MOST_FILES} of "
                f"{most_bytes:,}"
            )
        for place, file in enumerate(files, 1):
            hf_hub_download(
                address.repository, file.rfilename, revision=address.commit, local_dir=folder
            )
            show("downloading files", place, len(files), file.rfilename)
        rmtree(folder / ".cache", ignore_errors=True)  # notes of huggingface_hub
    except ModelError:
        raise
    except Exception as error:  # of huggingface_hub, of httpx, of the system
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"cannot be fetched ({reason[0].rstrip('.')})") from None
