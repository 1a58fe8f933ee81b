"""The service's policy: what it does with messages, updates, trials and errors, on a RAM flash and without a network."""

# SPDX-License-Identifier: MIT
import sys

import ota
from ota import service
from ota.rules import SIGN_MD5, SIGN_SHA256
from ota.service import OtaService, ota_service_deinit, ota_service_init
from ota.slot import IMAGE

from bench import Bench, begun
from fakes import Board, Config, Reset, base64, clock, fields, file, hex_of, image, payload
from ramflash import SECTOR

PLAIN = "http://host/x"


def test_good_update_is_fetched_committed_and_restarted_into():
    bench = begun()
    assert bench.finish()
    assert bench.slot.complete and bench.slot.sequence == 2
    assert bench.steps()[-1] == 100 and not bench.transport.connected


def test_percent_grows_from_one_to_ninety_nine_in_steps_of_five_or_more():
    bench = begun()
    done = []
    bench.service.progress_cb = lambda n, total: done.append((n, total))
    bench.finish()
    steps = bench.steps()
    assert steps[-2:] == [99, 100] and steps == sorted(steps) and len(set(steps)) == len(steps)
    assert done[-1] == (len(image("new")),) * 2


def test_what_the_applications_callback_raises_is_no_fault_of_the_update():
    bench = begun()
    calls = []

    def display(done, total):
        calls.append(done)
        raise OSError("no display")

    bench.service.progress_cb = display
    assert bench.finish() and bench.slot.complete
    assert len(calls) > 2 and bench.service.last_error == 0


def test_version_is_read_from_the_running_image_with_its_build():
    bench = Bench()
    assert bench.service.ota_ver == "1.0.0"
    assert bench.service.sys_ver.startswith("micropython-")


def test_refusal_is_reported_with_code_and_words():
    bench = Bench()
    assert bench.tell(b"{") == 1020
    assert bench.transport.reports == [(-1, "1020 message is not JSON")]
    assert bench.said == ["refused: message is not JSON (1020)"]


def test_each_bad_message_leaves_poll_as_a_report_and_nothing_else():
    bench = Bench()
    bad = [b"", b"\0", b"\xff\xfe", b"[" * 2000, b'{"data":"\xff"}', b"{" * 2048, b"x" * 2049, b'{[1]:2}', b"{}:1", b"null", b'{"a":-}']
    bad += [b'{"data":' + text + b"}" for text in (b"1", b"[]", b'"x"', b"null", b'{"size":1e999}', b'{"url":{}}')]
    bad += [payload(dict(fields(), size=10**400)), payload(dict(fields(), version="9" * 64, size=True))]
    for data in bad:
        assert bench.tell(data) in (1020, 1021, 1022, 1027), data
        assert not bench.service.updating
    assert len(bench.transport.reports) == len(bad)


def test_huge_version_number_is_a_number():
    bench = begun()
    bench.finish()
    bench = Bench()
    assert bench.tell(payload(dict(fields(), version="9" * 64, digestsign="AAAA"))) == 1025


def test_echo_and_empty_data_are_no_news():
    bench = Bench()
    assert bench.tell(b'{"id":0,"params":{"version":"1.0.0"}}') == 0
    assert bench.tell(payload({})) == 0
    assert bench.transport.reports == []


def test_rules_are_asked_before_a_byte_is_fetched():
    cases = (
        (dict(url=PLAIN), 1026),
        (dict(size=1 << 30), 1027),
        (dict(version="1.0.0"), 1010),
        (dict(signMethod="MD5", sign="00" * 16), 1023),
        (dict(digestsign=base64(file("foreign.sha256.sig"))), 1025),
        (dict(isDiff=2), 1022),
    )
    for changes, code in cases:
        bench = Bench()
        operations = bench.board.chip.operations
        data = fields()
        data.update(changes)
        assert bench.tell(payload(data)) == code
        assert not bench.service.updating and bench.board.chip.operations == operations


def test_missing_digestsign_is_refused_by_default():
    data = fields()
    del data["digestsign"]
    assert Bench().tell(payload(data)) == 1024


def test_application_can_decline():
    asked = []

    def decline(notice):
        asked.append(notice.version)
        return False

    bench = Bench(accept_cb=decline)
    assert bench.update() == 1028 and asked == ["1.1.0"]
    assert not bench.service.updating


def test_application_is_not_asked_about_what_is_refused():
    bench = Bench(accept_cb=lambda notice: 1 // 0)
    assert bench.update(data=dict(fields(), url=PLAIN)) == 1026


def test_another_update_meanwhile_is_refused_and_the_same_ignored():
    bench = begun()
    assert bench.tell(payload(fields())) == 0 and min(bench.steps()) >= 0
    assert bench.tell(payload(fields("foreign"))) == 1029
    assert bench.finish() and bench.slot.complete


def test_unconfirmed_image_takes_no_update():
    assert Bench(confirmed=False).update() == 1030


def test_bytes_that_will_never_be_right_are_not_fetched_again():
    for name, code in (("foreign", 1006), ("other_product", 1008), ("low_counter", 1009), ("patch", 1002)):
        bench = Bench()
        bench.service._advance = lambda: None
        assert bench.update(name) == 0
        del bench.service._advance
        bench.source.data = image(name)
        assert not bench.finish() and bench.service.last_error == code
        assert bench.slot.rejected and bench.slot.reason == code and not bench.slot.unreported
        assert bench.update(name) == 1031
        assert bench.steps()[-2:] == [-3, -1]


def test_lost_connection_is_reported_and_the_fetch_resumes_when_told_again():
    bench = begun()
    bench.source.drops = [9000] + [0] * 20
    assert not bench.finish() and bench.service.last_error == 1043
    assert not bench.slot.rejected and bench.slot.progress == 8192
    bench.source.drops = []
    advance, bench.service._advance = bench.service._advance, lambda: None
    assert bench.update() == 0
    assert bench.said[-1] == "fetch resumes at 8192"
    bench.service._advance = advance
    assert bench.finish() and bench.slot.complete


def test_failing_flash_leaves_poll_as_a_report():
    bench = begun()
    bench.service.poll()
    bench.board.chip.broken = True
    assert not bench.finish()
    assert bench.service.last_error == 1060 and bench.steps()[-1] == -4


def test_rejection_that_cannot_be_written_is_a_report_too():
    bench = Bench()
    bench.service._advance = lambda: None
    bench.update("foreign")
    del bench.service._advance
    bench.source.data = image("foreign")
    bench.service._inactive.reject = fail
    assert not bench.finish() and bench.service.last_error == 1061
    assert [desc[:4] for step, desc in bench.transport.reports if step < 0] == ["1006", "1061"]


def test_rejection_that_the_server_could_not_be_told_is_told_when_it_is_back():
    bench = Bench()
    bench.service._advance = lambda: None
    bench.update("foreign")
    del bench.service._advance
    bench.source.data = image("foreign")
    bench.transport.online = False
    assert not bench.finish() and bench.slot.unreported
    bench.transport.online = True
    bench.transport.reports.clear()
    bench.service._connected()
    assert bench.transport.reports == [(-3, "1006 image signed by an unknown key")] and not bench.slot.unreported


def test_rejection_whose_report_cannot_be_marked_is_told_once_until_the_next_reset():
    board = Board()
    slot = board.slot(1)
    slot.begin(IMAGE, 100, b"digest")
    slot.reject(1090)
    bench = Bench(board)
    board.chip.broken = True
    for _ in range(3):
        bench.service._connected()
    assert [desc[:4] for _, desc in bench.transport.reports] == ["1090", "1060"]


def test_message_that_memory_is_too_short_for_is_refused():
    from ota import notice

    kept = notice.parse
    bench = Bench()
    try:
        notice.parse = no_memory
        sys.modules["ota.notice"] = notice
        assert bench.tell(payload(fields("new"))) == 1021
    finally:
        notice.parse = kept


def no_memory(*args):
    raise MemoryError


def fail(*args):
    raise OSError(1061, "")


def test_memory_error_ends_the_update_alone():
    bench = begun()
    bench.service.poll()
    bench.source.readinto = no_memory
    assert not bench.finish() and bench.service.last_error == 1062
    assert not bench.slot.complete and not bench.slot.rejected and 100 not in bench.steps()


def test_interrupt_in_an_update_ends_it_and_the_next_message_resumes():
    bench = begun()

    def interrupt(done, total):
        if done >= 4096:
            raise KeyboardInterrupt

    bench.service.progress_cb = interrupt
    try:
        bench.finish()
        assert False
    except KeyboardInterrupt:
        pass
    assert not bench.service.updating and bench.slot.progress == 4096


def test_memory_error_in_a_message_is_told():
    bench = Bench()
    bench.service._judge = no_memory
    assert bench.tell(b"{}") == 1062


def test_what_only_a_message_needs_is_unloaded_after_it():
    for told in (b"{}", payload(fields("new"))):
        bench = Bench()
        bench.service.accept_cb = lambda notice: False
        bench.tell(told)
        for name in ("notice", "rules", "running", "verify"):
            assert "ota." + name not in sys.modules and not hasattr(ota, name)
        assert "ota.verify.digestsign" not in sys.modules


def test_protocols_that_are_not_there_are_misuse():
    for options in (dict(dl_protcol=9), dict(sign_type=9)):
        try:
            Bench(**options)
            assert False
        except ValueError:
            pass
    lone = OtaService(Board(), Config())
    lone.trans_protcol = 9
    try:
        ota_service_init(lone)
        assert False
    except ValueError:
        assert not lone.inited


def test_protocol_signatures_and_server_are_the_firmwares_unless_set():
    from ota.transport import coap, coap_link

    config = Config()
    config.PROTOCOL, config.SIGN_TYPE, config.SERVER = service.COAP, SIGN_MD5, ("configured", 1)
    one = OtaService(Board(), config)
    assert (one.trans_protcol, one.sign_type) == (service.COAP, SIGN_MD5)
    one.pk, one.tls = "pk", False
    coap.time = coap_link.time = clock
    servers = (service.MQTT, "pk.iot-as-mqtt.cn-shanghai.aliyuncs.com"), (service.COAP, "pk.coap.cn-shanghai.link.aliyuncs.com")
    for one.trans_protcol, default in servers:
        for config.SERVER, one.server, expected in ((None, None, default), (("configured", 1), None, "configured"), (("configured", 1), ("set", 2), "set")):
            one._buf = bytearray(2048)
            one._open_transport()
            transport = one._transport
            speaker = transport if one.trans_protcol == service.MQTT else transport._link
            assert speaker._server[0] == expected


def test_wrong_order_of_calls_is_misuse():
    bench = Bench()
    for action in (bench.service.init, OtaService(Board(), Config()).poll, OtaService(Board(), Config()).deinit):
        try:
            action()
            assert False
        except RuntimeError:
            pass


def test_deinit_drops_the_update_and_the_next_init_resumes_it():
    bench = begun()
    for _ in range(9):
        bench.service.poll()
    assert bench.slot.progress > 0
    assert ota_service_deinit(bench.service) == 0
    assert bench.source.closed == 1 and not bench.transport.connected and not bench.service.inited
    assert ota_service_init(bench.service) == 0
    assert bench.slot.progress > 0 and not bench.service.updating


def test_status_is_one_line():
    bench = Bench()
    assert bench.service.status() == "1.0.0 confirmed, idle, connected"
    assert "updating, 0 %" in begun().service.status()
    bench = Bench(confirmed=False)
    bench.transport.connected = False
    assert bench.service.status() == "1.0.0 trial, idle, not connected"


def test_every_poll_feeds_the_watchdog():
    bench = begun()
    fed = bench.board.fed
    for i in range(10):
        bench.service.poll()
    assert bench.board.fed == fed + 10


def test_init_mends_the_running_slot():
    board = Board(confirmed=False)
    slot = board.slot(0)
    slot._append_complete(4, 5, 1)
    slot._append(ord("Y"), 0, 0, bytes(6), 1)
    Bench(board)
    slot = board.slot(0)
    assert (slot._complete, slot._confirmed, slot.sequence) == (2, 2, 4)


def test_md5_with_its_signature_is_fetched_where_it_is_named():
    import hashlib

    data = dict(fields(), signMethod="Md5", sign=hex_of(hashlib.md5(image("new")).digest()), digestsign=base64(file("new.md5.sig")))
    bench = Bench(sign_type=SIGN_MD5)
    bench.service._advance = lambda: None
    assert bench.update(data=data) == 0
    del bench.service._advance
    assert bench.finish() and bench.slot.complete
    assert Bench(sign_type=SIGN_SHA256).update(data=data) == 1023




def test_cut_in_the_first_confirmation_of_a_factory_image_leaves_no_trial():
    """There is nothing to go back to: three trials without a network would leave only the console."""
    for writes in range(4):
        bench = Bench(confirmed=False)
        write = bench.board.chip.flash_write
        left = [writes]

        def cut(offset, data):
            if not left[0]:
                raise Reset
            left[0] -= 1
            return write(offset, data)

        bench.board.chip.flash_write = cut
        try:
            bench.service.confirm()
            raise AssertionError
        except Reset:
            pass
        bench.board.chip.flash_write = write
        slot = bench.board.slot(0)
        assert not slot.complete or slot.confirmed
        again = Bench(bench.board).service
        again.confirm()
        assert not again.in_trial and bench.board.slot(0).confirmed


def told(bench):
    """Tells of the artifact; the first step is not done yet."""
    bench.service._advance = lambda: None
    code = bench.update()
    if code == 1021:
        raise MemoryError  # the chip has no room for these tests
    assert code == 0
    del bench.service._advance


def test_notice_whose_server_is_down_wears_the_trailer_once():
    bench = Bench()
    bench.source.error = 1040
    trailer = (bench.board.slot(1).trailer) // SECTOR
    before = bench.board.chip.erased[trailer]
    for _ in range(300):
        told(bench)
        assert not bench.finish()
    assert bench.board.chip.erased[trailer] == before + 1


def test_fetch_that_was_resumed_often_still_goes_forward():
    """The server was down while the notice came again and again; then it is back, on a link that breaks after 8 KiB."""
    bench = Bench()
    bench.source.drops = [2 * SECTOR] + [0] * 20000
    for _ in range(300):
        told(bench)
        assert not bench.finish()
    for _ in range(10):
        bench.source.drops = [2 * SECTOR] * 20
        told(bench)
        if bench.finish():
            return
    raise AssertionError
