from pathlib import Path

import pytest

from dicom_node.errors import BadSettings
from dicom_node.settings import load_settings


def load(*overrides: str, file: Path | None = None, environment: dict[str, str] | None = None):
    return load_settings(file, environment=environment or {}, overrides=overrides)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lifeboat.toml"
    path.write_text(text)
    return path


def test_defaults_listen_only_on_this_machine():
    settings = load()
    assert settings.dicom.host == settings.web.host == "127.0.0.1"
    assert settings.dicom.ae_title == "LIFEBOAT"
    assert (settings.dicom.port, settings.web.port) == (11112, 8080)
    assert settings.pacs == ()


def test_command_line_beats_environment_beats_file(tmp_path):
    file = write(tmp_path, "[dicom]\nport = 1\nae_title = 'FILE'\n[web]\nport = 3\n")
    environment = {"LIFEBOAT_DICOM__PORT": "2", "LIFEBOAT_WEB__PORT": "4"}
    settings = load("web.port=5", file=file, environment=environment)
    assert (settings.dicom.ae_title, settings.dicom.port, settings.web.port) == ("FILE", 2, 5)


def test_each_value_knows_where_it_came_from(tmp_path):
    file = write(tmp_path, "[dicom]\nport = 1\n")
    settings = load("web.port=5", file=file, environment={"LIFEBOAT_NODE__NAME": "x"})
    assert settings.sources == {
        "dicom.port": str(file),
        "node.name": "LIFEBOAT_NODE__NAME",
        "web.port": "--set web.port",
    }


def test_one_pacs_the_short_way_and_several_by_name(tmp_path):
    assert [p.name for p in load("pacs.host=10.0.0.5").pacs] == ["pacs"]
    file = write(tmp_path, "[pacs.main]\nhost='a'\n[pacs.second]\nhost='b'\nport=4242\n")
    several = load(file=file).pacs
    assert [(p.name, p.host, p.port) for p in several] == [
        ("main", "a", 104),
        ("second", "b", 4242),
    ]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("web.prt=1", "[web] has no key 'prt'"),
        ("wbe.port=1", "no table [wbe]"),
        ("web.port=many", "web.port must be of type int"),
        ("web.port=99999", "between 0 and 65535"),
        ("storage.sync_writes=perhaps", "true or false"),
        ("dicom.ae_title=MUCH-TOO-LONG-TITLE", "1 to 16 characters"),
        ("pacs.proof=hope", "unknown"),
        ("sync.retry_min_s=0", "more than 0"),
        ("tls.port=70000", "between 0 and 65535"),
        ("modalities.ae_title=CT1", "[modalities.NAME]"),
        ("modalities.ct1.note=x", "modalities.ct1.ae_title"),
        ("nonsense", "table.key=value"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(override, words):
    overrides = [override, "pacs.host=h"] if override.startswith("pacs") else [override]
    with pytest.raises(BadSettings) as caught:
        load(*overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert words in message or override.split("=")[0] in message


def test_a_broken_file_is_named(tmp_path):
    with pytest.raises(BadSettings, match="not valid TOML"):
        load(file=write(tmp_path, "[dicom\n"))
    with pytest.raises(BadSettings, match="cannot read"):
        load(file=tmp_path / "absent.toml")


def test_modalities_are_tables_with_a_name(tmp_path):
    file = write(
        tmp_path,
        "[modalities.ct1]\nae_title='CT1'\naddress='10.1.2.0/24'\n"
        "[modalities.ws]\nae_title='WS'\nrights=['echo', 'find']\n",
    )
    ct1, ws = load(file=file).modalities
    assert (ct1.name, ct1.ae_title, ct1.address) == ("ct1", "CT1", "10.1.2.0/24")
    assert ct1.rights == ("echo", "store")
    assert ws.rights == ("echo", "find")
    (us,) = load("modalities.us.ae_title=US1", "modalities.us.rights=store,get").modalities
    assert us.rights == ("store", "get")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("address=scanner.example", "no name"),
        ("address=10.1.2.0/40", "network"),
        ("rights=store,erase", "may hold echo"),
        ("adress=10.1.2.3", "no key 'adress'"),
    ],
)
def test_a_bad_modality_is_named(override, words):
    with pytest.raises(BadSettings, match=words):
        load("modalities.ct1.ae_title=CT1", f"modalities.ct1.{override}")


def test_rights_must_be_words(tmp_path):
    with pytest.raises(BadSettings, match="a list of words"):
        load(file=write(tmp_path, "[modalities.ct1]\nae_title='CT1'\nrights=[1]\n"))
