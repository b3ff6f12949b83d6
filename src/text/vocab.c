/* Vocabulary: id <-> token text.  See vocab.h. */
#include "text/vocab.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/utf8.h"

/* The hash of the empty text; not 0, so that zero bytes count. */
static const uint32_t hash_begin = 1;

static const uint32_t prime = 0x7fffffff;

uint32_t vocab_draw_argument(const void *place)
{
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits) {
        struct timespec now = {0, 0};
        clock_gettime(CLOCK_MONOTONIC, &now);
        bits = (uint64_t)(uintptr_t)place ^ (uint64_t)now.tv_nsec;
    }
    return 256 + (uint32_t)(rng_splitmix64(bits) % (prime - 256));
}

/* hash * argument + byte modulo the prime; hash < 2^31. */
static inline uint32_t hash_byte(const vocab *v, uint32_t hash, char byte)
{
    const uint64_t sum = (uint64_t)hash * v->argument + (unsigned char)byte;
    const uint32_t folded = (uint32_t)(sum & prime) + (uint32_t)(sum >> 31);
    return folded >= prime ? folded - prime : folded;
}

/* A one-to-one mixing: the tables use the low bits, and small texts have small hashes. */
static inline uint32_t hash_end(uint32_t hash)
{
    hash ^= hash >> 16;
    hash *= 0x7feb352du;
    return hash ^ (hash >> 15);
}

static uint32_t hash_text(const vocab *v, const char *text, size_t n)
{
    uint32_t hash = hash_begin;
    for (size_t i = 0; i < n; i++)
        hash = hash_byte(v, hash, text[i]);
    return hash_end(hash);
}

static mts_status put_bytes(mts_ctx *ctx, vocab *v, const char *text, size_t n)
{
    mts_status st = MTS_OK;
    if (v->bytes_room - v->bytes_used < n + 1) {
        size_t room = 2 * v->bytes_room + n + 4096;
        MTS_TRY(mem_grow(ctx, &v->bytes, v->bytes_used, room, 1, "token texts"));
        v->bytes_room = room;
    }
    memcpy(v->bytes + v->bytes_used, text, n);
    v->bytes[v->bytes_used + n] = '\0';
    v->bytes_used += n + 1;
cleanup:
    return st;
}

mts_status vocab_put(mts_ctx *ctx, vocab *v, int64_t id, const char *text, size_t n, bool in_model)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];

    MTS_CHECK(n > 0, MTS_ERR_BAD_FILE, "id %lld: empty token", (long long)id);
    MTS_CHECK(n <= VOCAB_MAX_TOKEN_BYTES, MTS_ERR_UNSUPPORTED,
              "id %lld: token of %zu bytes, at most %d are supported", (long long)id, n,
              (int)VOCAB_MAX_TOKEN_BYTES);
    MTS_CHECK(memchr(text, '\0', n) == NULL, MTS_ERR_BAD_FILE, "id %lld: NUL byte in a token",
              (long long)id);
    MTS_CHECK(utf8_is_valid(text, n, NULL), MTS_ERR_BAD_FILE, "id %lld: token is not UTF-8",
              (long long)id);
    MTS_CHECK(id >= 0 && id < VOCAB_MAX_TOKENS, MTS_ERR_BAD_FILE,
              "token id %lld is outside 0 to %d", (long long)id, (int)VOCAB_MAX_TOKENS - 1);
    if (id >= v->room) {
        int64_t room = id + 1 < 2 * v->room ? 2 * v->room : id + 1024;
        MTS_TRY(mem_grow(ctx, &v->entries, (size_t)v->count, (size_t)room, sizeof(vocab_entry),
                         "vocabulary"));
        v->room = room;
    }
    MTS_CHECK(!v->entries[id].present, MTS_ERR_BAD_FILE, "id %lld is given to two tokens, \"%s\"",
              (long long)id, utf8_quote(quoted, sizeof quoted, v->bytes + v->entries[id].offset));
    v->entries[id] = (vocab_entry){v->bytes_used, (uint32_t)n, true, in_model};
    MTS_TRY(put_bytes(ctx, v, text, n));
    v->count = id >= v->count ? id + 1 : v->count;
cleanup:
    return st;
}

/* Id of the table's token whose text, less its first `skip` bytes, is text[n]; -1 if none. */
static int32_t find(const vocab *v, const vocab_table *table, size_t skip, uint32_t hash,
                    const char *text, size_t n)
{
    for (uint32_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        vocab_slot slot = table->slots[i];
        if (slot.id < 0)
            return -1;
        const vocab_entry *entry = &v->entries[slot.id];
        if (slot.hash == hash && entry->bytes == n + skip &&
            memcmp(v->bytes + entry->offset + skip, text, n) == 0)
            return slot.id;
    }
}

static void insert(vocab_table *table, uint32_t hash, int32_t id)
{
    uint32_t i = hash & table->mask;
    while (table->slots[i].id >= 0)
        i = (i + 1) & table->mask;
    table->slots[i] = (vocab_slot){hash, id};
}

static mts_status create_table(mts_ctx *ctx, vocab_table *table, int64_t count)
{
    mts_status st = MTS_OK;
    uint32_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    MTS_TRY(mem_calloc(ctx, &table->slots, slots, sizeof(vocab_slot), "vocabulary table"));
    table->mask = slots - 1;
    for (uint32_t i = 0; i < slots; i++)
        table->slots[i].id = -1;
cleanup:
    return st;
}

mts_status vocab_finish(mts_ctx *ctx, vocab *v, const char *prefix)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];

    v->prefix_bytes = strlen(prefix);
    v->argument = vocab_draw_argument(v);
    MTS_CHECK(v->count > 0, MTS_ERR_BAD_FILE, "the vocabulary is empty");
    MTS_TRY(create_table(ctx, &v->whole, v->count));
    MTS_TRY(create_table(ctx, &v->rest, v->count));
    for (int32_t id = 0; id < v->count; id++) {
        const vocab_entry *entry = &v->entries[id];
        MTS_CHECK(entry->present, MTS_ERR_BAD_FILE, "no token has id %d, but ids go up to %lld", id,
                  (long long)v->count - 1);
        const char *text = v->bytes + entry->offset;
        uint32_t hash = hash_text(v, text, entry->bytes);
        int32_t other = find(v, &v->whole, 0, hash, text, entry->bytes);
        MTS_CHECK(other < 0, MTS_ERR_BAD_FILE, "token \"%s\" appears twice, as id %d and as id %d",
                  utf8_quote(quoted, sizeof quoted, text), other, id);
        insert(&v->whole, hash, id);
        if (entry->bytes > v->prefix_bytes && memcmp(text, prefix, v->prefix_bytes) == 0) {
            text += v->prefix_bytes;
            insert(&v->rest, hash_text(v, text, entry->bytes - v->prefix_bytes), id);
        }
    }
cleanup:
    return st;
}

void vocab_deinit(vocab *v)
{
    mem_free(v->bytes);
    mem_free(v->entries);
    mem_free(v->whole.slots);
    mem_free(v->rest.slots);
    *v = (vocab){0};
}

int32_t vocab_find(const vocab *v, const char *text, size_t n)
{
    return find(v, &v->whole, 0, hash_text(v, text, n), text, n);
}

const char *vocab_text(const vocab *v, int32_t id)
{
    return id >= 0 && id < v->count ? v->bytes + v->entries[id].offset : NULL;
}

int32_t vocab_longest_prefix(const vocab *v, bool continuing, const char *word, size_t n,
                             size_t *length)
{
    const vocab_table *table = continuing ? &v->rest : &v->whole;
    size_t skip = continuing ? v->prefix_bytes : 0;
    uint32_t hashes[VOCAB_MAX_TOKEN_BYTES + 1]; /* [i]: of word[0..i) */

    if (n > VOCAB_MAX_TOKEN_BYTES)
        n = VOCAB_MAX_TOKEN_BYTES;
    hashes[0] = hash_begin;
    for (size_t i = 0; i < n; i++)
        hashes[i + 1] = hash_byte(v, hashes[i], word[i]);
    for (; n > 0; n--) {
        int32_t id = find(v, table, skip, hash_end(hashes[n]), word, n);
        if (id >= 0 && v->entries[id].in_model) {
            *length = n;
            return id;
        }
    }
    return -1;
}
