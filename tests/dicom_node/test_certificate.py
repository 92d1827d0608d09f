import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.certificate import (
    Certificate,
    certificate_state,
    read_not_after,
    tls_context,
)
from dicom_node.errors import BadSettings
from dicom_node.setting_tables import TlsSettings

NOW = datetime.now(UTC)


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_the_end_is_read_as_openssl_reads_it(make_certificate, kind):
    tls = make_certificate(days=1234, kind=kind)
    command = ["openssl", "x509", "-in", tls.certificate, "-noout", "-enddate"]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = datetime.strptime(f"{words.strip()} +0000", "notAfter=%b %d %H:%M:%S %Y GMT %z")
    assert read_not_after(tls.certificate_path) == expected


def test_an_end_beyond_2049_is_read_too(make_certificate):
    # written as GeneralizedTime, with a year of four digits
    assert read_not_after(make_certificate(days=365 * 50).certificate_path).year > 2070


@pytest.mark.parametrize(
    ("days", "outcome"),
    [
        (61, "ok"),
        (59, "warning"),
        (29, "warning"),
        (6, "warning"),
        (0.5, "warning"),
        (-1, "failed"),
    ],
)
def test_it_is_said_in_time_that_it_runs_out(make_certificate, days, outcome):
    tls = make_certificate(days=100).settings
    now = NOW + timedelta(days=100 - days)
    state = certificate_state(tls, now)
    assert state.outcome == outcome
    assert state.days_left == int(days // 1)


def test_the_log_says_it_once_for_each_mark(make_certificate, caplog):
    days_left = (90, 61, 60, 45, 30, 7, 3, -2, -5)
    moments = [NOW + timedelta(days=100 - days - 0.1) for days in days_left]
    clock = iter(moments)
    certificate = Certificate(make_certificate(days=100).settings, lambda: next(clock))
    counts = []
    for _ in moments:
        certificate.warn()
        counts.append(len(caplog.records))
    assert counts == [0, 0, 1, 1, 2, 3, 3, 4, 4]


def test_without_a_certificate_there_is_nothing_to_say(make_certificate):
    assert certificate_state(TlsSettings(), NOW) is None
    assert certificate_state(make_certificate(port=0).settings, NOW) is None


@pytest.mark.parametrize(
    "content", [None, "", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_file_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "bad.pem"
    if content is not None:
        path.write_text(content)
    tls = TlsSettings(certificate=str(path))
    assert certificate_state(tls, NOW).outcome == "failed"
    with pytest.raises(BadSettings):
        tls_context(tls)
    with pytest.raises(BadSettings):
        read_not_after(path)


def test_key_and_certificate_must_belong_together(make_certificate):
    one, other = make_certificate(), make_certificate()
    tls = TlsSettings(certificate=one.certificate, private_key=other.private_key)
    assert certificate_state(tls, NOW).outcome == "failed"


def test_a_key_with_a_password_is_refused_and_asks_nobody(make_certificate, tmp_path):
    one = make_certificate()
    locked = tmp_path / "locked.pem"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", one.private_key]
    subprocess.run([*command, "-out", str(locked)], capture_output=True, check=True)
    with pytest.raises(BadSettings):
        tls_context(TlsSettings(certificate=one.certificate, private_key=str(locked)))


def test_a_renewed_certificate_is_taken_without_a_restart(make_certificate):
    one = make_certificate()
    certificate = Certificate(one.settings)
    assert certificate.renewed() is not None
    assert certificate.renewed() is None
    make_certificate(folder=one.certificate_path.parent)
    assert certificate.renewed() is not None
