"""A master key in a file of its own, which goes with the object."""

import shutil
import tempfile
import weakref
from pathlib import Path

from interlock.identity.master_key import MASTER_FILE, FileMasterKey


class TemporaryMasterKey(FileMasterKey):
    def __init__(self) -> None:
        self.file = Path(tempfile.mkdtemp()) / MASTER_FILE
        weakref.finalize(self, shutil.rmtree, self.file.parent)
        super().__init__(self.file)
