"""The prompt: lines from a terminal or a noisy serial line."""

# SPDX-License-Identifier: MIT
from ota import settings
from ota import shell as under_test
from ota.rules import DOWNLOAD_HTTP

from fakes import Board, Config, Reset, clock

under_test.time = clock


class Service:
    """Stands for OtaService."""

    tls = True

    error = 0

    def __init__(self, board, config):
        self.called = []
        self.server = self.dl_protcol = None
        self.ota_ver = "1.0.0"

    def poll(self):
        self.called.append("poll")
        return True

    def status(self):
        return "fine"

    def check(self):
        self.called.append("check")

    def confirm(self):
        self.called.append("confirm")

    def rollback(self):
        raise OSError(1093, "")

    def deinit(self):
        self.called.append("deinit")


def init(service):
    service.called.append("init")
    if Service.error:
        raise OSError(Service.error, "")


under_test.OtaService = Service
under_test.ota_service_init = init
printed = []
under_test.print = lambda *words, end="\n": printed.append(" ".join(str(word) for word in words))
Config.BOARD = "test"


def shell(saved=None, board=None):
    Service.error = 0
    printed.clear()
    board = board or Board()
    if saved:
        settings.change(board, saved)
    return under_test.Shell(board, Config(), False)


def saved(one):
    return settings.load(one._board)


def typed(one, text):
    """What is printed for it."""
    printed.clear()
    for c in text.encode() if isinstance(text, str) else text:
        one._typed(c)
    return [line for line in printed if line != "# "]


IDENTITY = {"pk": "a1", "dn": "d", "ds": "s", "ps": "p"}


def test_ota_app_starts_the_service_and_is_remembered():
    one = shell()
    assert typed(one, "OTA_APP a1 d s p\r") == ["Hello OTA."]
    assert (one.service.pk, one.service.dn, one.service.ds, one.service.ps) == ("a1", "d", "s", "p")
    assert saved(one) == IDENTITY
    again = under_test.Shell(one._board, Config(), False)
    again.start()
    assert again.service.called == ["init"]


def test_ota_app_with_other_than_four_words_tells_its_usage():
    one = shell()
    for text in ("OTA_APP\n", "OTA_APP a b c\n", "OTA_APP a b c d e\n", "OTA_APP a/1 d s p\n", "OTA_APP a1 d+ s p\n", "OTA_APP a1 \"\" s p\n", "OTA_APP a1 %s s p\n" % ("d" * 33)):
        assert typed(one, text)[0].startswith("usage: OTA_APP pk dn ds ps")
    assert one.service is None and saved(one) == {}


def test_words_too_long_to_be_kept_change_nothing():
    one = shell()
    long = "x" * 129
    assert typed(one, "OTA_APP a1 d %s p\n" % long) == ["OTA_APP: error (28)"]
    assert saved(one) == {} and one.service is None


def test_configured_protocol_is_what_a_server_without_scheme_speaks():
    for protocol, named, expected in ((0, "h:1", 0), (1, "h:1", 1), (1, "mqtt://h:1", 0), (0, "coap://h:1", 1), (1, "", 1)):
        Config.PROTOCOL = protocol
        try:
            one = shell(dict(IDENTITY, server=named))
            one.start()
            assert one.service.trans_protcol == expected
        finally:
            Config.PROTOCOL = 0


def test_second_ota_app_ends_the_first_service():
    one = shell()
    typed(one, "OTA_APP a1 d s p\n")
    first = one.service
    typed(one, "OTA_APP a2 d s p\n")
    assert first.called == ["init", "deinit"] and one.service.pk == "a2"


def test_service_that_cannot_start_is_told_and_not_polled():
    one = shell(IDENTITY)
    Service.error = 1060
    one.start()
    assert one.service is None and "OTA_APP: flash failed (1060)" in printed
    assert one.poll() is False


def test_settings_that_are_not_whole_do_not_stop_the_board():
    for some in ({"pk": "a1"}, {"pk": "a1", "dn": "d", "ds": "s"}, {"ssid": "net"}, {}):
        one = shell(some)
        one.start()
        assert one.service is None
    one = shell(dict(IDENTITY, server="nonsense"))
    one.start()
    assert one.service.server is None


def test_network_is_joined_with_what_was_saved():
    board = Board()
    one = shell(board=board)
    typed(one, "netmgr connect my-net \u00fcber-geheim\n")
    assert board.joined == ("my-net", "\u00fcber-geheim")
    board.joined = None
    one = under_test.Shell(board, Config(), False)
    one.start()
    assert board.joined == ("my-net", "\u00fcber-geheim")
    typed(one, "netmgr clear\n")
    assert "ssid" not in saved(one)


def test_network_without_words_tells_its_state():
    assert typed(shell(), "netmgr\n") == ["test network"]
    assert typed(shell(), "netmgr connect only-ssid\n")[0].startswith("usage: netmgr")


def test_network_that_no_radio_takes_is_not_kept():
    one = shell()
    for words in ("a" * 33 + " secret", "net " + "p" * 65, '"" secret', "\u00fc" * 17 + " secret"):
        assert typed(one, "netmgr connect " + words + "\n")[0].startswith("usage: netmgr"), words
        assert "ssid" not in saved(one)
    typed(one, "netmgr connect " + "a" * 32 + " " + "p" * 64 + "\n")
    assert saved(one)["password"] == "p" * 64


def test_driver_that_refuses_what_is_kept_leaves_the_prompt():
    def refuse(ssid, password):
        raise ValueError("ssid")

    board = Board()
    board.network_connect = refuse
    one = shell(dict(IDENTITY, ssid="net"), board)
    one.start()
    assert printed[0].startswith("netmgr: ValueError") and one.service and printed[-1] == "# "
    assert typed(one, "netmgr connect other secret\n")[0].startswith("netmgr: ValueError")


def test_registration_that_cannot_be_leaves_the_service_and_its_identity():
    board = Board()
    board.has_tls = False
    one = shell(board=board)
    typed(one, "OTA_APP a1 d s p\n")
    service = one.service
    assert typed(one, 'OTA_APP a2 d "" p\n')[0].endswith("(1045)")
    assert one.service is service and "deinit" not in service.called and saved(one)["pk"] == "a1"


def test_network_saved_without_a_password_is_open():
    board = Board()
    shell({"ssid": "net"}, board).start()
    assert board.joined == ("net", "")


def test_server_must_be_host_and_port():
    one = shell()
    for text in ("host", "host:", ":1883", "host:x", "host:-1", "host:1 2", "host:0", "host:65536", "host:" + "9" * 30):
        typed(one, "ota server " + text + "\n")
        assert "server" not in saved(one), text
        assert printed[0].startswith("usage: ota"), text
    assert typed(one, "ota server broker.test:1883\n") == []
    assert saved(one)["server"] == "broker.test:1883"
    typed(one, "OTA_APP a1 d s p\n")
    assert one.service.server == ("broker.test", 1883)
    assert typed(one, "ota server another.test:1883\n") == ["from the next OTA_APP or reboot on"]


def test_board_without_tls_downloads_by_http():
    board = Board()
    board.has_tls = False
    one = shell(board=board)
    typed(one, "OTA_APP a1 d s p\n")
    assert one.service.dl_protcol == DOWNLOAD_HTTP


def test_commands_of_the_service_need_the_service():
    one = shell()
    for word in ("status", "check", "confirm", "rollback"):
        assert typed(one, "ota " + word + "\n") == ["not started; use OTA_APP"]
    typed(one, "OTA_APP a1 d s p\n")
    assert typed(one, "ota status\n") == ["fine"]
    typed(one, "ota check\n")
    typed(one, "ota confirm\n")
    assert one.service.called == ["init", "check", "confirm"]
    assert typed(one, "ota nonsense\n")[0].startswith("usage: ota")


def test_refusal_of_a_command_is_told_in_words():
    one = shell()
    typed(one, "OTA_APP a1 d s p\n")
    assert typed(one, "ota rollback\n") == ["ota: no image to go back to (1093)"]


def test_reboot_restarts_the_board():
    try:
        typed(shell(), "reboot\n")
        assert False
    except Reset:
        pass


def test_unknown_command_is_told_and_help_lists_the_known():
    assert typed(shell(), "format c:\n") == ["format: no such command; try help"]
    text = typed(shell(), "help\n")[0]
    for word in ("help", "sysver", "netmgr", "OTA_APP", "ota", "reboot"):
        assert word in text


def test_empty_lines_print_the_prompt_alone():
    assert typed(shell(), "\r\n \t \n") == []


def test_backspace_takes_back():
    assert typed(shell(), "\x08\x7fnetmgrx\x7f\n") == ["test network"]


def test_line_of_the_limit_is_run_and_a_longer_one_is_not():
    one = shell()
    assert typed(one, "netmgr" + " " * 250 + "\n") == ["test network"]
    assert typed(one, "netmgr" + " " * 251 + "\n") == ["line too long, or not UTF-8"]
    assert typed(one, "netmgr" + " " * 5000 + "\n") == ["line too long, or not UTF-8"]
    assert len(one._line) == 0 and typed(one, "netmgr\n") == ["test network"]


def test_noise_on_the_line_is_no_exception():
    one = shell()
    assert typed(one, b"\xff\xfe\xc3\n") == ["line too long, or not UTF-8"]
    assert typed(one, b"\x80\n") == ["line too long, or not UTF-8"]
    typed(one, bytes(range(1, 10)) + b"\n")
    typed(one, b"\0\0\0\x1b[A\n")


def test_board_goes_on_when_there_is_no_terminal():
    one = shell()
    assert one.poll() is False and one.poll() is False
    typed(one, "OTA_APP a1 d s p\n")
    assert one.poll() is True and one.service.called[-1] == "poll"


def test_trial_without_a_service_is_left_to_the_watchdog_for_good():
    """The new image does not find its settings, or lacks what they ask for."""
    board = Board()
    one = under_test.Shell(board, Config(), False)
    one.start()
    for _ in range(115):
        clock.now += 5000
        one.poll()
    assert board.fed == 115
    for _ in range(120):
        clock.now += 5000
        one.poll()
    fed = board.fed
    assert fed < 125
    clock.now -= 1000000  # ticks wrap
    one.poll()
    assert board.fed == fed
    one.service = type("", (), {"poll": lambda self: False})()
    one.poll()
    assert board.fed == fed + 1
