// The station between network.WLAN and lwIP.
// SPDX-License-Identifier: MIT
#ifndef WLAN_H
#define WLAN_H

#include <stdbool.h>

#include "lwip/netif.h"

#include "network_wlan.h"

extern struct netif wlan_netif;
bool wlan_is_active(void);
void wlan_activate(bool on);
void wlan_connect(const char *ssid, const char *key); // ssid NULL: as last time
void wlan_disconnect(void);
enum station_status wlan_status(void);
const char *wlan_ssid(void);
const char *wlan_ap_in_reach(void); // its name; NULL: none

#endif
