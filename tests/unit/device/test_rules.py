"""Which notice is accepted, and which code the others get."""

# SPDX-License-Identifier: MIT
import hashlib

from ota.notice import parse
from ota.rules import DOWNLOAD_COAP, DOWNLOAD_HTTP, DOWNLOAD_HTTPS, SIGN_MD5, SIGN_RSA, SIGN_SHA256, Rules
from ota.slot import IMAGE

from fakes import SLOT, Board, base64, code_of, fields, file, hex_of, image, notice, payload
from ramflash import SECTOR

E_OLD_VERSION, E_METHOD, E_NO_DIGESTSIGN, E_DIGESTSIGN, E_URL, E_BIG = 1010, 1023, 1024, 1025, 1026, 1027
E_BUSY, E_TRIAL, E_REJECTED, E_KEY_FORMAT = 1029, 1030, 1031, 1011
PLAIN = "http://host/x"


class Case:
    """Rules of a default board, each of them open to change."""

    def __init__(self, dl_protcol=DOWNLOAD_HTTPS, sign_type=SIGN_RSA, has_tls=True, key=True, board=None):
        key = file("key.der") if key is True else key
        self.rules = Rules(dl_protcol, sign_type, has_tls, key)
        self.active, self.inactive = (board or Board()).both()

    def code(self, one=None, running="1.0.0", **changes):
        one = one or notice(**changes)
        return code_of(self.rules.check, one, running, self.active, self.inactive, self.inactive.buf)


def md5_fields():
    data = fields()
    data["signMethod"] = "Md5"
    data["sign"] = hex_of(hashlib.md5(image("new")).digest())
    data["digestsign"] = base64(file("new.md5.sig"))
    return data


def unsigned(data):
    del data["digestsign"]
    return parse(payload(data))


def test_good_notice_is_accepted():
    assert Case().code() == 0


def test_signature_is_let_go_when_it_has_been_checked():
    case = Case(dl_protcol=DOWNLOAD_HTTP)
    judged = case.rules.judge(payload(fields()), None, "1.0.0", case.active, case.inactive, case.inactive.buf)
    assert judged.size and judged.digestsign is None


def test_unconfirmed_image_takes_no_update():
    assert Case(board=Board(confirmed=False)).code() == E_TRIAL


def test_same_or_older_version_is_refused_compared_as_numbers():
    for version in ("1.0.0", "1.0", "app-1.0.0", "0.9.9", "0.10.0", "x"):
        assert Case().code(version=version) == E_OLD_VERSION, version
    assert Case().code(running="1.9.0", version="1.10.0") == 0
    assert Case().code(running="1.10.0", version="1.9.0") == E_OLD_VERSION
    assert Case().code(running="1.1.0", version="1.1.0+1") == 0


def test_patch_is_accepted_as_an_image_is():
    assert Case().code(notice("patch", isDiff=1)) == 0


def test_artifact_must_leave_the_trailer_free():
    assert Case().code(size=SLOT - SECTOR) == 0
    for size in (SLOT - SECTOR + 1, SLOT, 2**31, 2**32 + 1, 10**100):
        assert Case().code(size=size) == E_BIG, size


def test_only_https_is_fetched_where_it_is_named():
    assert Case().code(url=PLAIN) == E_URL


def test_http_and_https_are_fetched_where_http_is_named():
    assert Case(dl_protcol=DOWNLOAD_HTTP).code(url=PLAIN) == 0
    assert Case(dl_protcol=DOWNLOAD_HTTP).code() == 0


def test_board_without_tls_fetches_http_alone():
    assert Case(dl_protcol=DOWNLOAD_HTTP, has_tls=False).code() == E_URL
    assert Case(dl_protcol=DOWNLOAD_HTTP, has_tls=False).code(url=PLAIN) == 0


def test_other_schemes_are_refused():
    for url in ("ftp://host/x", "file:///etc/passwd", "coap://host/x", "httpx://host", "https:/host", "HTTPS://host/x", "x", "//host"):
        assert Case(dl_protcol=DOWNLOAD_HTTP).code(url=url) == E_URL, url


def test_coap_is_fetched_where_it_is_named_and_coaps_everywhere():
    assert Case().code(url="coaps://host/x") == 0
    assert Case().code(url="coap://host/x") == E_URL
    assert Case(dl_protcol=DOWNLOAD_COAP).code(url="coap://host/x") == 0
    assert Case(dl_protcol=DOWNLOAD_COAP).code(url=PLAIN) == E_URL


def test_md5_is_refused_unless_it_is_named():
    data = parse(payload(md5_fields()))
    assert Case().code(data) == E_METHOD
    assert Case(sign_type=SIGN_SHA256).code(data) == E_METHOD
    assert Case(sign_type=SIGN_MD5).code(data) == 0


def test_md5_is_never_accepted_without_digestsign():
    assert Case(sign_type=SIGN_MD5).code(unsigned(md5_fields())) == E_NO_DIGESTSIGN
    assert Case(sign_type=SIGN_MD5, key=None).code(unsigned(md5_fields())) == E_NO_DIGESTSIGN


def test_missing_digestsign_is_refused_where_it_is_required():
    assert Case().code(unsigned(fields())) == E_NO_DIGESTSIGN
    assert Case(sign_type=SIGN_SHA256).code(unsigned(fields())) == 0


def test_required_digestsign_without_a_key_to_check_it_is_refused():
    assert Case(key=None).code() == E_NO_DIGESTSIGN


def test_wrong_digestsign_is_refused_also_where_none_is_required():
    good = file("new.sha256.sig")
    wrong = (good[:-1] + bytes([good[-1] ^ 1]), good[:-1], good + b"\0", b"", bytes(256), b"\xff" * 256, file("foreign.sha256.sig"))
    for sign_type in (SIGN_RSA, SIGN_SHA256, SIGN_MD5):
        for sign in wrong:
            one = notice()
            one.digestsign = sign
            assert Case(sign_type=sign_type).code(one) == E_DIGESTSIGN, sign


def test_unusable_key_is_told_as_such():
    assert Case(key=b"no key").code() == E_KEY_FORMAT


def test_artifact_that_was_rejected_is_refused():
    board = Board()
    one = notice()
    slot = board.slot(1)
    slot.begin(IMAGE, one.size, one.digest)
    assert Case(board=board).code(one) == 0
    slot.reject(1005)
    assert Case(board=board).code(one) == E_REJECTED
    assert Case(board=board).code(notice(sign="00" * 32)) == E_DIGESTSIGN, "tells nothing to who cannot sign"
    assert Case(board=board).code(notice("foreign")) == 0


def test_artifact_whose_image_reached_no_server_may_come_again():
    board = Board()
    one = notice()
    slot = board.slot(1)
    slot.begin(IMAGE, one.size, one.digest)
    slot.commit(2, 5)
    slot.reject(1092)
    assert Case(board=board).code(one) == 0


def test_another_artifact_while_an_update_runs_is_refused():
    rules = Case().rules
    assert rules.check_idle(notice(), None) is True
    assert rules.check_idle(notice(), notice()) is False
    assert code_of(rules.check_idle, notice("foreign"), notice()) == E_BUSY


def test_protocols_that_are_not_there_are_misuse():
    for args in ((9, SIGN_RSA), (0, SIGN_RSA), (DOWNLOAD_HTTPS, 3), (DOWNLOAD_HTTPS, None)):
        try:
            Rules(args[0], args[1], True, None)
            assert False, args
        except ValueError:
            pass
