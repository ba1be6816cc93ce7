/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a trace of format lengths; see fuzz_trace.h.
 */
#include "tests/fuzz/fuzz_trace.h"
#include "traces/workload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_trace("lengths", data, size);
}
