// lwIP on this machine: sized like the chip's, see MICROPY_PY_LWIP's users for what is needed.
// SPDX-License-Identifier: MIT
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#include "py/mpconfig.h"
#include "py/mphal.h"

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0 // everything runs in the main loop
#define SYS_ARCH_DECL_PROTECT(level)
#define SYS_ARCH_PROTECT(level)
#define SYS_ARCH_UNPROTECT(level)
typedef uint32_t sys_prot_t;
#define MEM_ALIGNMENT 4

#define LWIP_ARP 1
#define LWIP_ETHERNET 1
#define LWIP_RAW 1
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_DNS 1
#define LWIP_IGMP 1
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_STATUS_CALLBACK 0
#define SO_REUSE 1
#define TCP_LISTEN_BACKLOG 1

#define MEM_SIZE 6000
#define TCP_MSS 536
#define TCP_WND (4 * TCP_MSS)
#define TCP_SND_BUF (2 * TCP_MSS)
#define MEMP_NUM_TCP_PCB 6
#define MEMP_NUM_TCP_SEG 12
#define MEMP_NUM_UDP_PCB 4
#define PBUF_POOL_SIZE 8
#define PBUF_POOL_BUFSIZE (TCP_MSS + 40 + 14 + 2)
#define ETH_PAD_SIZE 0
#define LWIP_CHKSUM_ALGORITHM 3

#define sys_now mp_hal_ticks_ms
uint32_t port_random(void);
#define LWIP_RAND() port_random()

#endif
