/* SPDX-License-Identifier: Apache-2.0
 *
 * banned.h: functions that nobody may call; included before every file by the build.
 *
 * sprintf, strcpy and strcat trust their caller with the room; strtok and localtime
 * hide state; rand has no name and no seed of ours (base/rng.h has); time reads a clock
 * where results must not depend on one; atoi calls every typing error 0. The system
 * headers come first, so that only our own calls are hit.
 */
#ifndef STACKSIM_BASE_BANNED_H
#define STACKSIM_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BANNED(function) banned_see_base_banned_h_##function

#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#undef strtok
#undef rand
#undef srand
#undef time
#undef localtime
#undef gmtime
#undef atoi
#undef atol
#undef atoll
#undef atof
#define sprintf(...)   BANNED(sprintf)
#define vsprintf(...)  BANNED(vsprintf)
#define strcpy(...)    BANNED(strcpy)
#define strcat(...)    BANNED(strcat)
#define strtok(...)    BANNED(strtok)
#define rand(...)      BANNED(rand)
#define srand(...)     BANNED(srand)
#define time(...)      BANNED(time)
#define localtime(...) BANNED(localtime)
#define gmtime(...)    BANNED(gmtime)
#define atoi(...)      BANNED(atoi)
#define atol(...)      BANNED(atol)
#define atoll(...)     BANNED(atoll)
#define atof(...)      BANNED(atof)

#endif
