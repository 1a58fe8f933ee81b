// network.WLAN. The access-point side exists so that programs can switch it off; nobody ever connects to it.
// SPDX-License-Identifier: MIT
#include "network_wlan.h"

#include "extmod/modnetwork.h"
#include "lwip/dns.h"
#include "py/runtime.h"
#include "wlan.h"

#include <string.h>

typedef struct {
    mp_obj_base_t base;
    int id;
} wlan_obj_t;

static const wlan_obj_t wlans[2] = {{{&network_wlan_type}, STATION_IF}, {{&network_wlan_type}, SOFTAP_IF}};
static bool softap_active;

#define RSSI_DBM (-60)
#define CHANNEL 6

static mp_obj_t wlan_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    mp_int_t id = n_args ? mp_obj_get_int(args[0]) : STATION_IF;
    if (id != STATION_IF && id != SOFTAP_IF) {
        mp_raise_ValueError(NULL);
    }
    return MP_OBJ_FROM_PTR(&wlans[id]);
}

static bool is_station(mp_obj_t self) {
    return ((const wlan_obj_t *)MP_OBJ_TO_PTR(self))->id == STATION_IF;
}

static void require_station(mp_obj_t self) {
    if (!is_station(self)) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("STA required"));
    }
}

static mp_obj_t wlan_active(size_t n_args, const mp_obj_t *args) {
    bool station = is_station(args[0]);
    if (n_args == 1) {
        return mp_obj_new_bool(station ? wlan_is_active() : softap_active);
    }
    bool on = mp_obj_is_true(args[1]);
    if (station) {
        wlan_activate(on);
    } else {
        softap_active = on;
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(wlan_active_obj, 1, 2, wlan_active);

static const char *text(mp_obj_t value, size_t limit) {
    size_t n;
    const char *s = mp_obj_str_get_data(value, &n);
    if (n > limit) {
        mp_raise_ValueError(NULL);
    }
    return s;
}

static mp_obj_t wlan_connect_method(size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_ssid, ARG_key, ARG_bssid };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_bssid, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args - 1, pos_args + 1, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    require_station(pos_args[0]);
    if (!wlan_is_active()) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("Cannot connect to AP"));
    }
    const char *ssid = args[ARG_ssid].u_obj == mp_const_none ? NULL : text(args[ARG_ssid].u_obj, 32);
    const char *key = args[ARG_key].u_obj == mp_const_none ? NULL : text(args[ARG_key].u_obj, 64);
    wlan_connect(ssid, key);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(wlan_connect_obj, 1, wlan_connect_method);

static mp_obj_t wlan_disconnect_method(mp_obj_t self) {
    require_station(self);
    wlan_disconnect();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(wlan_disconnect_obj, wlan_disconnect_method);

static mp_obj_t wlan_status_method(size_t n_args, const mp_obj_t *args) {
    if (n_args == 1) {
        return MP_OBJ_NEW_SMALL_INT(is_station(args[0]) ? (mp_int_t)wlan_status() : -1);
    }
    if (mp_obj_str_get_qstr(args[1]) == MP_QSTR_rssi && is_station(args[0])) {
        return MP_OBJ_NEW_SMALL_INT(RSSI_DBM);
    }
    mp_raise_ValueError(MP_ERROR_TEXT("unknown status param"));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(wlan_status_obj, 1, 2, wlan_status_method);

static mp_obj_t wlan_isconnected(mp_obj_t self) {
    return mp_obj_new_bool(is_station(self) && wlan_status() == STATION_GOT_IP);
}
static MP_DEFINE_CONST_FUN_OBJ_1(wlan_isconnected_obj, wlan_isconnected);

static mp_obj_t wlan_scan(mp_obj_t self) {
    require_station(self);
    if (!wlan_is_active()) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("STA must be active"));
    }
    mp_obj_t list = mp_obj_new_list(0, NULL);
    const char *name = wlan_ap_in_reach();
    if (name) {
        static const byte bssid[6] = {2, 0, 0, 0, 0, 1};
        mp_obj_t entry[6] = {
            mp_obj_new_bytes((const byte *)name, strlen(name)), mp_obj_new_bytes(bssid, sizeof(bssid)), MP_OBJ_NEW_SMALL_INT(CHANNEL),
            MP_OBJ_NEW_SMALL_INT(RSSI_DBM), MP_OBJ_NEW_SMALL_INT(AUTH_WPA2_PSK), MP_OBJ_NEW_SMALL_INT(0),
        };
        mp_obj_list_append(list, mp_obj_new_tuple(MP_ARRAY_SIZE(entry), entry));
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_1(wlan_scan_obj, wlan_scan);

static mp_obj_t wlan_ifconfig(size_t n_args, const mp_obj_t *args) {
    return mod_network_nic_ifconfig(&wlan_netif, n_args - 1, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(wlan_ifconfig_obj, 1, 2, wlan_ifconfig);

static mp_obj_t wlan_ipconfig(size_t n_args, const mp_obj_t *args, mp_map_t *kwargs) {
    return mod_network_nic_ipconfig(&wlan_netif, n_args - 1, args + 1, kwargs);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(wlan_ipconfig_obj, 1, wlan_ipconfig);

static mp_obj_t get_config(mp_obj_t self, qstr name) {
    switch (name) {
        case MP_QSTR_mac:
            return mp_obj_new_bytes(wlan_netif.hwaddr, sizeof(wlan_netif.hwaddr));
        case MP_QSTR_ssid:
        case MP_QSTR_essid:
            return mp_obj_new_str_from_cstr(is_station(self) ? wlan_ssid() : "MicroPython");
        case MP_QSTR_channel:
            return MP_OBJ_NEW_SMALL_INT(CHANNEL);
        case MP_QSTR_hostname:
        case MP_QSTR_dhcp_hostname:
            return mod_network_hostname(0, NULL);
        default:
            mp_raise_ValueError(MP_ERROR_TEXT("unknown config param"));
    }
}

// Of what can be set, the host name alone has an effect here; the radio's parameters are taken and dropped.
static void set_config(qstr name, mp_obj_t value) {
    switch (name) {
        case MP_QSTR_hostname:
        case MP_QSTR_dhcp_hostname:
            mod_network_hostname(1, &value);
            break;
        case MP_QSTR_ssid:
        case MP_QSTR_essid:
        case MP_QSTR_key:
        case MP_QSTR_password:
        case MP_QSTR_security:
        case MP_QSTR_authmode:
        case MP_QSTR_hidden:
        case MP_QSTR_channel:
        case MP_QSTR_txpower:
        case MP_QSTR_pm:
            break;
        default:
            mp_raise_ValueError(MP_ERROR_TEXT("unknown config param"));
    }
}

static mp_obj_t wlan_config(size_t n_args, const mp_obj_t *args, mp_map_t *kwargs) {
    if (kwargs->used == 0) {
        if (n_args != 2) {
            mp_raise_TypeError(MP_ERROR_TEXT("can query only one param"));
        }
        return get_config(args[0], mp_obj_str_get_qstr(args[1]));
    }
    for (size_t i = 0; i < kwargs->alloc; i++) {
        if (mp_map_slot_is_filled(kwargs, i)) {
            set_config(mp_obj_str_get_qstr(kwargs->table[i].key), kwargs->table[i].value);
        }
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(wlan_config_obj, 1, wlan_config);

static const mp_rom_map_elem_t wlan_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_active), MP_ROM_PTR(&wlan_active_obj) },
    { MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&wlan_connect_obj) },
    { MP_ROM_QSTR(MP_QSTR_disconnect), MP_ROM_PTR(&wlan_disconnect_obj) },
    { MP_ROM_QSTR(MP_QSTR_status), MP_ROM_PTR(&wlan_status_obj) },
    { MP_ROM_QSTR(MP_QSTR_scan), MP_ROM_PTR(&wlan_scan_obj) },
    { MP_ROM_QSTR(MP_QSTR_isconnected), MP_ROM_PTR(&wlan_isconnected_obj) },
    { MP_ROM_QSTR(MP_QSTR_config), MP_ROM_PTR(&wlan_config_obj) },
    { MP_ROM_QSTR(MP_QSTR_ifconfig), MP_ROM_PTR(&wlan_ifconfig_obj) },
    { MP_ROM_QSTR(MP_QSTR_ipconfig), MP_ROM_PTR(&wlan_ipconfig_obj) },
    { MP_ROM_QSTR(MP_QSTR_IF_STA), MP_ROM_INT(STATION_IF) },
    { MP_ROM_QSTR(MP_QSTR_IF_AP), MP_ROM_INT(SOFTAP_IF) },
};
static MP_DEFINE_CONST_DICT(wlan_locals, wlan_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(network_wlan_type, MP_QSTR_WLAN, MP_TYPE_FLAG_NONE, make_new, wlan_make_new, locals_dict, &wlan_locals);
