/* SPDX-License-Identifier: Apache-2.0
 *
 * map.h: uint64_t -> uint32_t, open addressing with linear probing.
 *
 * Deletion shifts back, so there are no tombstones and a long run never degrades.
 * There is no iteration: order of a hash table must not reach a result (STYLE 5.5).
 */
#ifndef STACKSIM_BASE_MAP_H
#define STACKSIM_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;

/* Room for `expected` entries without growing. It grows by doubling; entries_max is a
 * hard ceiling (CHECK). Keys are mixed inside: any key pattern is fine. */
struct map *map_new(size_t expected, size_t entries_max);
void map_delete(struct map *map);

/* True and *value filled when the key is present. */
bool map_get(const struct map *map, uint64_t key, uint32_t *value);
/* Inserts or overwrites. */
void map_put(struct map *map, uint64_t key, uint32_t value);
/* True when the key was present. */
bool map_remove(struct map *map, uint64_t key);
size_t map_count(const struct map *map);
void map_clear(struct map *map);

#endif
