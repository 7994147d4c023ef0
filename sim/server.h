/* server.h - HTTP/1.1 with keep-alive on loopback: epoll and a few threads. Requests are read here, answered by
 * responder.c, sent here as their delivery says. */
#ifndef TL_SIM_SERVER_H
#define TL_SIM_SERVER_H
#include "sim/responder.h"

/* Serves until SIGINT or SIGTERM. Writes "listening on http://127.0.0.1:PORT" to stdout once it does. */
tl_status sim_server_run(sim_responder *responder, uint16_t port, unsigned threads, tl_error *err);
#endif
