"""OHIF as a hospital would serve it: minified, by nginx, with Orthanc's DICOMweb behind it."""

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.data import InstanceFile
from benchmarks.http_client import KeepAliveClient
from benchmarks.processes import (
    LOOPBACK,
    BenchmarkError,
    free_ports,
    require_program,
    running,
)

PACKAGE: Final = "@ohif/app@3.12.10"
MINIFIER: Final = "esbuild@0.25.12"
PREPARED: Final = "LIFEBOAT_OHIF"
"""Names a folder that holds, or is to hold, the prepared build: it takes a minute to make."""
_PLUGIN: Final = "libOrthancDicomWeb.so"
_PLUGIN_FOLDERS: Final = (
    "/usr/share/orthanc/plugins",
    "/usr/lib/orthanc",
    "/usr/local/share/orthanc/plugins",
)
_TEXT: Final = (".js", ".css", ".html", ".json", ".svg", ".wasm")
_WORTH_COMPRESSING_BYTES: Final = 1000
_TIMEOUT_S: Final = 600
_CONFIGURATION: Final = {
    "name": "benchmark",
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "customizationService": {},
    "showStudyList": True,
    "maxNumberOfWebWorkers": 3,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": False,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "investigationalUseDialog": {"option": "never"},
    # without it OHIF shows no image on a computer without WebGL
    "useCPURendering": True,
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": {
                "friendlyName": "Orthanc",
                "name": "orthanc",
                "qidoRoot": "/dicom-web",
                "wadoRoot": "/dicom-web",
                "wadoUriRoot": "/wado",
                "qidoSupportsIncludeField": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsFuzzyMatching": False,
                "supportsWildcard": True,
                "dicomUploadEnabled": False,
                "omitQuotationForMultipartRequest": True,
                "bulkDataURI": {"enabled": True},
            },
        }
    ],
}
_NGINX: Final = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  include /etc/nginx/mime.types;
  types {{ application/wasm wasm; }}
  access_log off;
  sendfile on;
  tcp_nodelay on;
  gzip_static on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {address}:{port};
    root {build};
    add_header Cross-Origin-Opener-Policy same-origin;
    add_header Cross-Origin-Embedder-Policy require-corp;
    location /dicom-web/ {{
      proxy_pass http://{address}:{orthanc_port};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffering off;
    }}
    location / {{ try_files $uri /index.html; }}
  }}
}}
"""


@contextlib.contextmanager
def ohif_serving(folder: Path, files: Sequence[InstanceFile]) -> Iterator[int]:
    """Run OHIF and an Orthanc that holds the files; yield the HTTP port.

    Parameters
    ----------
    folder : Path
        A new folder for everything that is written.
    files : sequence of InstanceFile
        Put into Orthanc over HTTP.

    Raises
    ------
    BenchmarkError
        Something that is needed is not installed, or cannot be started.
    """
    folder.mkdir()
    build = _prepared_build(folder)
    with (
        _orthanc_with_dicomweb(folder, files) as orthanc_port,
        _nginx(folder, build, orthanc_port) as port,
    ):
        yield port


@contextlib.contextmanager
def _nginx(folder: Path, build: Path, orthanc_port: int) -> Iterator[int]:
    program = require_program("nginx")
    (port,) = free_ports(1)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _NGINX.format(
            folder=folder, address=LOOPBACK, port=port, build=build, orthanc_port=orthanc_port
        )
    )
    command = [program, "-p", str(folder), "-c", str(configuration)]
    with running(command, ports=[port], log=folder / "nginx.out"):
        yield port


@contextlib.contextmanager
def _orthanc_with_dicomweb(folder: Path, files: Sequence[InstanceFile]) -> Iterator[int]:
    program = require_program("Orthanc")
    (port,) = free_ports(1)
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(_orthanc_configuration(folder, port)))
    with running([program, str(configuration)], ports=[port], log=folder / "orthanc.log"):
        with contextlib.closing(KeepAliveClient(port)) as client:
            for file in files:
                client.post("/instances", file.path.read_bytes())
        yield port


def _orthanc_configuration(folder: Path, port: int) -> dict[str, Any]:
    return {
        "Name": "Benchmark",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomServerEnabled": False,
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "HttpCompressionEnabled": True,
        "Plugins": [str(_plugin())],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
    }


def _plugin() -> Path:
    for folder in _PLUGIN_FOLDERS:
        path = Path(folder) / _PLUGIN
        if path.exists():
            return path
    raise BenchmarkError("Orthanc's DICOMweb plugin is not installed (orthanc-dicomweb)")


def _prepared_build(folder: Path) -> Path:
    """Return the folder of a build to serve; made anew unless the environment names a ready one."""
    target = Path(os.environ.get(PREPARED) or folder / "ohif")
    if not (target / "ready").exists():
        shutil.rmtree(target, ignore_errors=True)
        _prepare(folder / "packages", target)
        (target / "ready").touch()
    return target


def _prepare(work: Path, target: Path) -> None:
    work.mkdir(parents=True)
    npm = require_program("npm")
    _run([npm, "pack", "--silent", PACKAGE], work)
    (archive,) = work.glob("*.tgz")
    with tarfile.open(archive) as content:
        content.extractall(work, filter="data")
    shutil.move(work / "package" / "dist", target)
    _run([npm, "install", "--silent", "--no-save", "--prefix", str(work / "tools"), MINIFIER], work)
    _minify(work / "tools" / "node_modules" / ".bin" / "esbuild", target)
    (target / "app-config.js").write_text(f"window.config = {json.dumps(_CONFIGURATION)};")
    _compress(target)
    shutil.rmtree(work)


def _minify(esbuild: Path, build: Path) -> None:
    """Minify in place: the package holds a build for developers."""
    scripts = [str(path) for path in build.glob("*.js")]
    _run(
        [
            str(esbuild),
            "--minify",
            "--log-level=error",
            "--allow-overwrite",
            f"--outdir={build}",
            *scripts,
        ],
        build,
    )


def _compress(build: Path) -> None:
    for path in build.rglob("*"):
        if path.suffix in _TEXT and path.stat().st_size > _WORTH_COMPRESSING_BYTES:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 6))


def _run(command: Sequence[str], folder: Path) -> None:
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"{name} did not work: {type(error).__name__}") from error
    if done.returncode:
        words = (done.stderr.strip().splitlines() or [""])[-1]
        raise BenchmarkError(f"{name} ended with {done.returncode}: {words}")
