/*
 * One target with fixed seeds: FUZZ_TARGET, by the build; the program is test_fuzz_<name>.
 * The inputs that were findings once; the seeds, each of them cut at every length and with every
 * bit changed, and repeatable mutations of them.
 * MANTISSA_TEST_SEED sets the seed of the mutations, which is printed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/rng.h"
#include "fuzz/fuzz_target.h"

extern const fuzz_target FUZZ_TARGET;

enum { ROOM = 16384, MUTATIONS = 20000 };

static const fuzz_target *const target = &FUZZ_TARGET;
static uint64_t seed = 1;
static uint32_t draws;
static size_t n_words, n_seeds;
static fuzz_bytes seeds[FUZZ_SEEDS_MAX];

static uint32_t draw(size_t below)
{
    return rng_draw(rng_make_key(seed, 0, 0, RNG_INIT), draws++) % (uint32_t)below;
}

/* A copy of its own size, so that AddressSanitizer sees a read behind it. */
static bool run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    const bool accepted = target->run(copy, size);
    free(copy);
    return accepted;
}

static void seeds_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_seeds; i++) {
        assert_true(seeds[i].size <= ROOM);
        if (!run((const uint8_t *)seeds[i].data, seeds[i].size))
            fail_msg("%s: seed %d is refused: %s", target->name, (int)i, fuzz_last_error);
    }
}

static void cases_are_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < target->n_cases; i++)
        run((const uint8_t *)target->cases[i].data, target->cases[i].size);
}

static void truncations(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_seeds; i++)
        for (size_t size = 0; size < seeds[i].size; size++)
            if (run((const uint8_t *)seeds[i].data, size) && target->whole)
                fail_msg("%s: %d of %d bytes of seed %d are accepted", target->name, (int)size,
                         (int)seeds[i].size, (int)i);
}

static void bit_flips(void **state)
{
    (void)state;
    static uint8_t data[ROOM];
    int accepted = 0, all = 0;
    for (size_t i = 0; i < n_seeds; i++) {
        memcpy(data, seeds[i].data, seeds[i].size);
        for (size_t bit = 0; bit < 8 * seeds[i].size; bit++, all++) {
            data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            accepted += run(data, seeds[i].size);
            data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
    print_message("%d of %d accepted\n", accepted, all);
    assert_true(accepted > all / 100 && accepted < all);
}

/* Put n bytes in place of `cut` ones; returns the new size. */
static size_t splice(uint8_t *data, size_t size, size_t at, size_t cut, const void *bytes, size_t n)
{
    if (cut > size - at)
        cut = size - at;
    if (size - cut + n > ROOM)
        return size;
    memmove(data + at + n, data + at + cut, size - at - cut);
    memcpy(data + at, bytes, n);
    return size - cut + n;
}

/* One random change; returns the new size. */
static size_t mutate(uint8_t *data, size_t size)
{
    const size_t at = draw(size + 1);
    uint8_t piece[16];
    const char *word;
    switch (draw(6)) {
    case 0: /* a bit */
        if (at < size)
            data[at] ^= (uint8_t)(1U << draw(8));
        return size;
    case 1: /* another digit: what is parsed stays well-formed */
        for (size_t i = at; i < size; i++)
            if (data[i] >= '0' && data[i] <= '9') {
                data[i] = (uint8_t)('0' + draw(10));
                break;
            }
        return size;
    case 2: /* a stretch is lost */
        return splice(data, size, at, 1 + draw(12), piece, 0);
    case 3: { /* a stretch occurs once more */
        const size_t n = size - at < sizeof piece ? size - at : sizeof piece;
        memcpy(piece, data + at, n);
        return splice(data, size, draw(size + 1), 0, piece, n);
    }
    default: /* a word of the format, perhaps in place of something */
        word = target->words[draw(n_words)];
        return splice(data, size, at, draw(2) == 0 ? 0 : draw(8), word, strlen(word));
    }
}

static void mutations(void **state)
{
    (void)state;
    static uint8_t data[ROOM];
    int accepted = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        const fuzz_bytes *from = &seeds[draw(n_seeds)];
        size_t size = from->size;
        memcpy(data, from->data, size);
        for (uint32_t changes = 1 + draw(4); changes > 0; changes--)
            size = mutate(data, size);
        accepted += run(data, size);
    }
    print_message("%d of %d accepted\n", accepted, (int)MUTATIONS);
    assert_true(accepted > MUTATIONS / 100 && accepted < MUTATIONS); /* both ways were taken */
}

int main(void)
{
    const char *text = getenv("MANTISSA_TEST_SEED");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_are_accepted), cmocka_unit_test(cases_are_answered),
        cmocka_unit_test(truncations),        cmocka_unit_test(bit_flips),
        cmocka_unit_test(mutations),
    };
    if (text != NULL)
        seed = strtoull(text, NULL, 0);
    print_message("%s: seed %llu\n", target->name, (unsigned long long)seed);
    n_seeds = fuzz_seeds(target, seeds);
    while (target->words[n_words] != NULL)
        n_words++;
    return cmocka_run_group_tests_name(target->name, tests, NULL, NULL);
}
