"""The command line. Results go to stdout, everything else to stderr.

Exit codes: 0 ok, 1 the system failed (a full disk), 2 usage, 3 unreadable media, 4 no speech,
5 model, 6 part of a batch failed, 130 interrupted.
"""

from __future__ import annotations

import logging
import sys

import typer

from speech2face.batch import describe_failure
from speech2face.cli.commands import app
from speech2face.cli.wrong_calls import describe_wrong_call
from speech2face.console import drop_output, prepare_streams, print_message
from speech2face.errors import Speech2FaceError
from speech2face.inputs import expand_home


def main() -> None:
    """Entry point: runs a command and turns errors into one line and an exit code."""
    logging.basicConfig(format="speech2face: %(message)s", level=logging.WARNING)
    prepare_streams()
    try:
        arguments = list(map(expand_home, sys.argv[1:]))
        exit_code = app(args=arguments, prog_name="speech2face", standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
    except typer.TyperException as error:
        print_message(describe_wrong_call(error, sys.argv[1:]))
        exit_code = error.exit_code
    except Speech2FaceError as error:
        print_message(str(error))
        exit_code = error.exit_code
    except Exception as error:  # a full disk under stdout or a run; a fault of ours
        print_message(str(describe_failure(error)))
        exit_code = 1
    if exit_code == 130:  # typer catches Ctrl-C
        print_message("interrupted.", None)
    drop_output()
    sys.exit(exit_code)
