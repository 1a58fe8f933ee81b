// The radio that is not there: an access point with a name and a password, out of reach or lost at the host's will,
// in front of the Ethernet that is there. Settings: ap=NAME key=PASSWORD id=HEX control=PATH; the control file's
// first byte says whether the access point is in reach ('0': it is not), and may change at any time.
// SPDX-License-Identifier: MIT
#include "wlan.h"

#include "port.h"

#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"

#include "extmod/modnetwork.h"
#include "py/mphal.h"

#include <string.h>

#define FRAME_BYTES 1514u
#define ASSOCIATE_MS 200u // from connect() to the access point's answer
#define RETRY_MS 1000u
#define CONTROL_MS 100u

struct netif wlan_netif;
static bool active, wanted; // the interface is on; connect() was called
static bool attached;       // to the access point
static enum station_status status;
static char ssid[33], key[65];
static uint32_t next_step_ms, next_control_ms;
static int control = -1;
static bool in_reach;
static uint8_t frame[FRAME_BYTES] __attribute__((aligned(4))); // or each copy is by bytes

uint32_t chip_id(void) {
    const char *s = setting("id");
    uint32_t id = 0;
    for (; s && *s; s++) {
        id = id << 4 | (uint32_t)(*s <= '9' ? *s - '0' : (*s | 0x20) - 'a' + 10);
    }
    return s ? id & 0xffffff : 0x123456;
}

static err_t link_output(struct netif *netif, struct pbuf *p) {
    (void)netif;
    static uint8_t out[FRAME_BYTES] __attribute__((aligned(4)));
    if (!attached) {
        return ERR_IF;
    }
    uint16_t n = pbuf_copy_partial(p, out, sizeof(out), 0);
    return ethernet_send(out, n) ? ERR_OK : ERR_IF;
}

static err_t netif_start(struct netif *netif) {
    uint32_t id = chip_id();
    const uint8_t mac[6] = {0x5c, 0xcf, 0x7f, (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    memcpy(netif->hwaddr, mac, sizeof(mac));
    netif->hwaddr_len = sizeof(mac);
    netif->name[0] = 's';
    netif->name[1] = 't';
    netif->mtu = 1500;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    netif->hostname = mod_network_hostname_data;
    netif->output = etharp_output;
    netif->linkoutput = link_output;
    return ethernet_start(mac) ? ERR_OK : ERR_IF;
}

static void look_at_control(void) {
    char c = '1';
    if (control >= 0) {
        simcall(SIM_LSEEK, (uint32_t)control, 0, 0);
        simcall(SIM_READ, (uint32_t)control, (uint32_t)&c, 1);
    }
    in_reach = c != '0';
}

void wlan_start(void) {
    const char *path = setting("control");
    if (path) {
        control = simcall(SIM_OPEN, (uint32_t)path, 0, 0);
    }
    look_at_control();
    netif_add(&wlan_netif, NULL, NULL, NULL, NULL, netif_start, ethernet_input);
    netif_set_default(&wlan_netif);
}

static void detach(enum station_status now) {
    status = now;
    next_step_ms = mp_hal_ticks_ms() + RETRY_MS;
    if (attached) {
        attached = false;
        dhcp_release_and_stop(&wlan_netif);
        netif_set_link_down(&wlan_netif);
        netif_set_addr(&wlan_netif, NULL, NULL, NULL);
    }
}

static bool is(const char *name, const char *value) {
    const char *s = setting(name);
    return s && strcmp(s, value) == 0;
}

static void associate(void) {
    const char *password = setting("key");
    if (!in_reach || !is("ap", ssid)) {
        detach(STATION_NO_AP_FOUND);
    } else if (strcmp(password ? password : "", key) != 0) {
        detach(STATION_WRONG_PASSWORD);
    } else {
        attached = true;
        status = STATION_CONNECTING;
        while (ethernet_receive(frame, sizeof(frame))) { // heard before we were attached
        }
        netif_set_up(&wlan_netif);
        netif_set_link_up(&wlan_netif);
        dhcp_start(&wlan_netif);
    }
}

static void step(void) {
    uint32_t now = mp_hal_ticks_ms();
    if ((int32_t)(now - next_control_ms) >= 0) {
        next_control_ms = now + CONTROL_MS;
        look_at_control();
    }
    if (attached) {
        if (!in_reach) {
            detach(STATION_NO_AP_FOUND);
        } else if (status == STATION_CONNECTING && dhcp_supplied_address(&wlan_netif)) {
            status = STATION_GOT_IP;
        }
    } else if (wanted && (int32_t)(now - next_step_ms) >= 0) {
        associate();
    }
}

static void receive(void) {
    uint32_t n;
    while ((n = ethernet_receive(frame, sizeof(frame))) != 0) {
        struct pbuf *p = attached ? pbuf_alloc(PBUF_RAW, (uint16_t)n, PBUF_POOL) : NULL;
        if (p) {
            pbuf_take(p, frame, (uint16_t)n);
            if (wlan_netif.input(p, &wlan_netif) != ERR_OK) {
                pbuf_free(p);
            }
        }
    }
}

// Called from the main loop only: lwIP's callbacks run inside it.
void wlan_poll(void) {
    static bool inside;
    if (inside) {
        return;
    }
    inside = true;
    if (active) {
        step();
        receive();
    }
    sys_check_timeouts();
    inside = false;
}

bool wlan_is_active(void) {
    return active;
}

void wlan_activate(bool on) {
    if (!on) {
        wlan_disconnect();
    }
    active = on;
}

void wlan_connect(const char *new_ssid, const char *new_key) {
    if (new_ssid) {
        strncpy(ssid, new_ssid, sizeof(ssid) - 1);
        strncpy(key, new_key ? new_key : "", sizeof(key) - 1);
    }
    detach(STATION_CONNECTING);
    wanted = true;
    next_step_ms = mp_hal_ticks_ms() + ASSOCIATE_MS;
}

void wlan_disconnect(void) {
    wanted = false;
    detach(STATION_IDLE);
}

enum station_status wlan_status(void) {
    return status;
}

const char *wlan_ssid(void) {
    return ssid;
}

const char *wlan_ap_in_reach(void) {
    look_at_control();
    return in_reach ? setting("ap") : NULL;
}
