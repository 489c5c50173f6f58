/*
 * queue: messages on their way to the fold thread, bounded by number and bytes. Those of streams do
 * not take it: the fold thread reads them from the link itself.
 *
 * A full queue makes queue_push() wait. Any thread may push; one thread pops.
 */
#pragma once

#include "bus/bus.h"

struct queue;

struct queue_item {
    struct bus_message message;
};

struct queue *queue_new(size_t messages_max, size_t bytes_max);
void queue_free(struct queue *queue); /* releases what is left in it */

/* False when the queue is closed: the item is still the caller's. */
bool queue_push(struct queue *queue, const struct queue_item *item);
/*
 * Waits up to timeout_ms for at least one; returns how many were written to `out`. While messages
 * keep coming it lets them gather for up to a millisecond, so that the two threads do not wake each
 * other for every single one.
 */
size_t queue_pop(struct queue *queue, struct queue_item *out, size_t room, int timeout_ms);
/* Wakes all waiters; from now on pushes fail and pops drain. */
void queue_close(struct queue *queue);

size_t queue_depth(struct queue *queue);
size_t queue_capacity(const struct queue *queue);
/* Calls back for each waiting item, oldest first, with the queue held: be quick. Popping thread
 * only. */
void queue_each(struct queue *queue, void (*each)(void *context, const struct queue_item *item),
                void *context);
