// network.WLAN of the emulated chip.
// SPDX-License-Identifier: MIT
#ifndef NETWORK_WLAN_H
#define NETWORK_WLAN_H

#include "py/obj.h"

extern const mp_obj_type_t network_wlan_type;

enum { STATION_IF = 0, SOFTAP_IF = 1 };
enum station_status { STATION_IDLE = 0, STATION_CONNECTING, STATION_WRONG_PASSWORD, STATION_NO_AP_FOUND, STATION_CONNECT_FAIL, STATION_GOT_IP };
enum { AUTH_OPEN = 0, AUTH_WEP, AUTH_WPA_PSK, AUTH_WPA2_PSK, AUTH_WPA_WPA2_PSK };

#endif
