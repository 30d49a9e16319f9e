# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python library's pure parts, without a system."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"))
