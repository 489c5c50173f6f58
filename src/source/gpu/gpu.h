/*
 * What the GPU source is made of. Private to src/source/gpu/.
 *
 *   nvml.c    NVIDIA, through NVML, which is loaded when it is there (no build dependency)
 *   amd.c     AMD, from what the amdgpu driver shows in sysfs
 *   apple.c   Apple Silicon, from what ioreg and powermetrics print (plist.c)
 *   xid.c     what the numbers of NVIDIA's XID errors mean
 *   judge.c   transitions and health, from what either reads
 *   source.c  the source, one look, and the table of events
 *
 * A reader makes one JSON object per GPU, with the fields of GpuSampled. What a device does not
 * support is left out, and "absent" says why: {field: reason}.
 */
#pragma once

#include "base/buf.h"
#include "source/source.h"

#define GPUS_MAX        64
#define GPU_MIG_MAX     8
#define GPU_TEXT_MAX    96
#define GPU_XID_HOLD_NS (INT64_C(600) * 1000000000) /* health remembers an XID for so long */

/* What is known of one GPU from the looks before. */
struct gpu_known {
    char uuid[GPU_TEXT_MAX], name[GPU_TEXT_MAX], bus[GPU_TEXT_MAX];
    const char *type; /* nvidia, amd, metal */
    long index;       /* as the driver counts */
    bool seen;        /* in this look */
    bool lost, fresh; /* fresh: what is told of it now was so before we looked */
    int memory_level; /* 0, 90, 95 */
    bool throttled_power, throttled_thermal;
    bool ecc_known, told_remap;
    uint64_t ecc_corrected, ecc_uncorrected; /* as counted last */
    uint64_t last_xid;
    int64_t last_xid_ns; /* monotonic; 0: none */
};

struct gpu_watch {
    const struct source_options *options;
    struct source_sink *sink;
    struct nvml *nvml; /* NULL: there is none */
    bool apple;
    struct gpu_known gpus[GPUS_MAX];
    size_t count;
    unsigned looks;
    int64_t now_ns;
};

/* nvml.c. EXIT_CODE_PROBLEM: there is no such library here. */
int nvml_open(const char *path, struct nvml **ret, struct error *err);
void nvml_close(struct nvml *nvml);
/* Reports every GPU by gpu_report(), and XIDs by gpu_xid(). Fails when the driver does not work. */
int nvml_look(struct nvml *nvml, struct gpu_watch *watch, struct error *err);

/* amd.c */
bool amd_is_here(const char *root);
void amd_look(struct gpu_watch *watch);

/* apple.c. False: ioreg told nothing that can be read. */
bool apple_is_here(void);
bool apple_look(struct gpu_watch *watch);

/* xid.c; never NULL. */
const char *xid_meaning(uint64_t xid);
/* Mostly the fault of a program that used the GPU, and not of the GPU. */
bool xid_is_of_program(uint64_t xid);

/* judge.c */
void gpu_begin(struct gpu_watch *watch);
/* `data` is taken over; it has at least type, uuid, name and gpu (its index). */
void gpu_report(struct gpu_watch *watch, json_t *data);
/* `index` says which, where the driver does not tell its uuid (NULL). */
void gpu_report_lost(struct gpu_watch *watch, const char *uuid, long index, const char *reason);
void gpu_xid(struct gpu_watch *watch, const char *uuid, uint64_t xid);
/* Who was not reported is lost. */
void gpu_end(struct gpu_watch *watch);
