"""What the documents say is what the program does."""

import re
import subprocess
from pathlib import Path

import pytest

import dicom_node.errors as node_errors
import viewer.errors as viewer_errors
from dicom_node.settings import table_keys
from web import errors as web_errors

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text()
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
PAGES += sorted((REPOSITORY / "docs").glob("*.md"))


def kinds(base: type) -> list[type]:
    found = [base]
    for kind in found:
        found.extend(kind.__subclasses__())
    return found


@pytest.mark.parametrize(
    "base", [node_errors.NodeError, viewer_errors.ViewerError, web_errors.WebError]
)
def test_every_error_code_is_documented(base):
    page = (REPOSITORY / "docs" / "errors.md").read_text()
    assert [kind.code for kind in kinds(base) if f"`{kind.code}`" not in page] == []


def test_every_setting_is_documented():
    page = (REPOSITORY / "docs" / "settings.md").read_text()
    names_of_tables = ("pacs.name", "modalities.name")
    missing = [key for key in table_keys() if f"`{key}`" not in page]
    assert [key for key in missing if key not in names_of_tables] == []


def test_settings_in_the_documents_exist():
    tables = {key.split(".")[0] for key in table_keys()}
    for page in PAGES:
        named = re.findall(r"(?:`|--set )([a-z]+\.[a-z_]+)\b", page.read_text())
        wrong = {
            name
            for name in named
            if name.split(".")[0] in tables
            and name not in table_keys()
            and not name.endswith(".py")
        }
        assert not wrong, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_settings_example_of_the_readme_is_accepted(tmp_path):
    from dicom_node.settings import load_settings

    (example,) = re.findall(r"```toml\n(.*?)```", README, re.S)
    file = tmp_path / "lifeboat.toml"
    file.write_text(example)
    settings = load_settings(file, environment={})
    assert settings.pacs[0].host == "10.0.0.5"


def readme_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_every_command_of_the_readme_is_known_here():
    """Each is run: make targets by their own test, the others below."""
    assert {line.split()[0] for line in readme_commands()} == {"make", "lifeboat", "python3"}


@pytest.mark.parametrize("line", [line for line in readme_commands() if line.startswith("make")])
def test_make_targets_of_the_readme_exist(line):
    result = subprocess.run(
        ["make", "--dry-run", line.split()[1]],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "line", [line for line in readme_commands() if line.startswith("lifeboat")]
)
def test_commands_of_the_readme_run(line, make_node, tmp_path, wait):
    node = make_node("pacs.host=127.0.0.1", "pacs.port=9", "dicom.host=127.0.0.1")
    file = tmp_path / "lifeboat.toml"
    file.write_text("[dicom]\nae_title = 'LIFEBOAT'\n")
    words = line.split()[1:]
    if "--config" in words:
        node.settings.append(f"--config={file}")
        words = words[: words.index("--config")]
    command = " ".join(words)
    if command == "run":
        node.start("run")
        wait(lambda: "Lifeboat is up" in node.log.read_text())
        return
    result = node.run(command)
    assert "Traceback" not in result.stderr
    assert result.returncode in (0, 1), result.stderr
    assert result.stdout


def test_the_install_line_of_the_readme_makes_a_working_program(tmp_path):
    """The wheel holds everything the pages need, not only the Python files."""
    result = subprocess.run(
        [
            str(REPOSITORY / ".venv" / "bin" / "pip"),
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(tmp_path),
            str(REPOSITORY),
        ],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    if "No module named" in result.stderr or not (REPOSITORY / ".venv").exists():
        pytest.fail(result.stderr)
    (wheel,) = tmp_path.glob("*.whl")
    import zipfile

    names = zipfile.ZipFile(wheel).namelist()
    for folder, pattern in (("web/templates", "*.html"), ("web/static/js", "*.js")):
        wanted = {f"{folder}/{path.name}" for path in (REPOSITORY / folder).glob(pattern)}
        assert wanted
        assert wanted <= set(names)
    assert "lifeboat.py" in names
