"""The workspace: where files live, how they appear whole, and who may write when.

::

    glaciers/<glacier>/scenes/<source>-<id>/       what a fetch brought
    glaciers/<glacier>/prepared/<task>-<id>/       what a prepare made of it
    runs/<model>/<glacier>/<id>/                   weights, logs, predictions/, evaluations/, report.html

``<id>`` is the start of the stage's fingerprint, so the same question finds the same folder.
A finished stage holds a ``stage.json``; a folder without one is unfinished work.
"""

from icectl.workspace.files import (
    dated,
    full_disks_said,
    plain,
    read_json,
    set_aside,
    settle,
    size_of,
    sync_folder,
    worded_os_errors,
    write_json,
    writing,
)
from icectl.workspace.folders import (
    adopt,
    appear,
    building,
    is_own,
    own_folder,
    redoing,
    remove,
    remove_file,
    replace_folder,
    sweep,
    sweep_beside,
    temporary,
)
from icectl.workspace.integrity import (
    PUBLISHED,
    clear_damaged,
    contents,
    damage,
    expect_intact,
    fingerprint,
    finished,
    identify,
    portable,
    reached,
    relative,
    sha256,
    sound,
)
from icectl.workspace.places import (
    DEFAULT,
    ENVIRONMENT,
    ID_LENGTH,
    RECORD,
    RUN,
    Workspace,
    inside,
    safe_fingerprint,
    safe_name,
)
from icectl.workspace.recorded import NUMBER, fits, metrics_of, parsing, read_record, run_of, stage_of

__all__ = [
    "DEFAULT", "ENVIRONMENT", "ID_LENGTH", "NUMBER", "PUBLISHED", "RECORD", "RUN", "Workspace", "adopt",
    "appear", "building", "clear_damaged", "contents", "damage", "dated", "expect_intact", "fingerprint",
    "finished", "fits", "full_disks_said", "identify", "inside", "is_own", "metrics_of", "own_folder",
    "parsing", "plain", "portable", "reached", "read_json", "read_record", "redoing", "relative",
    "remove", "remove_file", "replace_folder", "run_of", "safe_fingerprint", "safe_name", "set_aside",
    "settle", "sha256", "size_of", "sound", "stage_of", "sweep", "sweep_beside", "sync_folder", "temporary",
    "worded_os_errors", "write_json", "writing",
]  # fmt: skip
