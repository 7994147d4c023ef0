/* sim.h - the vendor simulator: Alpaca's market-data API over plain HTTP on loopback. All that others may include.
 * It shares nothing with the engine but src/base, so that a misunderstanding cannot cancel out. */
#ifndef TL_SIM_H
#define TL_SIM_H

/* `ticklake simulate ...`: argv[0] is "simulate". Returns when SIGINT or SIGTERM arrives.
 * Result is an exit code: 0 stopped as asked, 1 could not run, 2 wrong usage. */
int sim_main(int argc, char **argv);
#endif
