# What is frozen into every board's firmware: the package and the two libraries it stands on. Files by name, so
# that nothing strays in. $(MPOTA_LIB) is where tools/setup put the libraries.
# SPDX-License-Identifier: MIT
package(
    "ota",
    (
        "__init__.py",
        "channel.py",
        "install.py",
        "md5.py",
        "message.py",
        "native.py",
        "notice.py",
        "parameters.py",
        "reason.py",
        "registration.py",
        "report.py",
        "rules.py",
        "running.py",
        "service.py",
        "settings.py",
        "shell.py",
        "slot.py",
        "update.py",
        "download/__init__.py",
        "download/coap.py",
        "download/coap_url.py",
        "download/http.py",
        "hal/__init__.py",
        "hal/flash.py",
        "transport/__init__.py",
        "transport/coap.py",
        "transport/coap_link.py",
        "transport/coap_session.py",
        "transport/dtls.py",
        "transport/linkkit.py",
        "transport/mqtt.py",
        "transport/net.py",
        "transport/tls.py",
        "verify/__init__.py",
        "verify/digestsign.py",
    ),
    base_path="$(MPOTA_DIR)",
    opt=3,
)
# The libraries check answers with `assert`, which opt would delete.
package("umqtt", ("simple.py",), base_path="$(MPOTA_DIR)/build/lib", opt=0)
package("urequests", ("__init__.py",), base_path="$(MPOTA_DIR)/build/lib", opt=0)
