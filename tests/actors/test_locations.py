from __future__ import annotations

from pathlib import Path

from stratum.actors.locations import state_home


def test_the_state_folder_is_where_the_user_says() -> None:
    assert state_home({"STRATUM_STATE_HOME": "/state", "XDG_STATE_HOME": "/xdg"}) == Path("/state")
    assert state_home({"XDG_STATE_HOME": "/xdg"}) == Path("/xdg/stratum")
    assert state_home({}) == Path.home() / ".local/state/stratum"


def test_a_relative_shared_folder_is_ignored_as_its_specification_says() -> None:
    assert state_home({"XDG_STATE_HOME": "here"}) == Path.home() / ".local/state/stratum"
