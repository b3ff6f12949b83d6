/*
 * The AMX emulator of the tests against the manual: addressing forms, tile shapes, the four signs
 * of the multiplication, one set of tiles per thread, and that other illegal instructions still
 * kill.
 *
 * On a processor with AMX the same checks run on the real thing, and so check the expectations.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#if defined(__x86_64__)

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "support/amx_emulator.h"

/* Assemblers that check features take the instructions in functions marked so. */
#define AMX_CODE __attribute__((target("amx-tile,amx-int8"), noinline))

enum { ROWS = 16, ROW_BYTES = 64 };

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* Tile 0: result 5 x 7; 1: A, 5 x 44 bytes; 2: B, 11 groups x 7; 3: full. */
static tile_config config = {.palette = 1, .row_bytes = {28, 44, 28, 64}, .rows = {5, 5, 11, 16}};

static uint8_t source[65536];

AMX_CODE static void configure(void)
{
    __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory"); /* relative to RIP */
}

AMX_CODE static void release(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

AMX_CODE static void store_full(uint8_t *out, int64_t stride)
{
    __asm__ volatile("tilestored %%tmm3, (%0,%1,1)" : : "r"(out), "r"(stride) : "memory");
}

#define LOAD(form)                                                                                 \
    __asm__ volatile("mov %0, %%rax\n\tmov %0, %%r12\n\tmov %0, %%r13\n\tmov %1, %%r9\n\t" form    \
                     ", %%tmm3"                                                                    \
                     :                                                                             \
                     : "r"(base), "r"(index)                                                       \
                     : "rax", "r9", "r12", "r13", "memory")

#define FORMS 9

/* Load tile 3 in one of the addressing forms; what it should read from base and index. */
AMX_CODE static void load_form(int form, const uint8_t *base, int64_t index, int64_t *offset,
                               int64_t *stride)
{
    static const int64_t offsets[FORMS] = {0, 0, 0, 64, -64, 4096, -4096, 8, 0};
    static const int64_t scales[FORMS] = {1, 2, 4, 8, 1, 1, 2, 1, 1};
    *offset = offsets[form];
    *stride = index * scales[form];
    switch (form) {
    case 0:
        LOAD("tileloadd (%%rax,%%r9,1)");
        break;
    case 1:
        LOAD("tileloadd (%%r12,%%r9,2)");
        break;
    case 2:
        LOAD("tileloadd (%%r13,%%r9,4)"); /* r13 as base needs a displacement byte */
        break;
    case 3:
        LOAD("tileloadd 64(%%rax,%%r9,8)");
        break;
    case 4:
        LOAD("tileloadd -64(%%r12,%%r9,1)");
        break;
    case 5:
        LOAD("tileloadd 4096(%%r13,%%r9,1)");
        break;
    case 6:
        LOAD("tileloadd -4096(%%rax,%%r9,2)");
        break;
    case 7: /* what comes between is executed on the way */
        LOAD("tilezero %%tmm0\n\tprefetcht0 8192(%%r12)\n\tprefetcht0 (%%rax)\n\t"
             "lea 8(%%r12), %%r13\n\ttileloadd (%%r13,%%r9,1)");
        break;
    default:
        LOAD("tileloaddt1 (%%rax,%%r9,1)");
        break;
    }
}

static void fill_source(void)
{
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (uint8_t)rng_splitmix64(i);
}

static void begin(void)
{
    if (!amx_emulator_install())
        skip();
    fill_source();
    configure();
}

static void every_addressing_form(void **state)
{
    (void)state;
    begin();
    for (int form = 0; form < FORMS; form++) {
        uint8_t out[ROWS][80];
        const uint8_t *base = source + 32768;
        int64_t offset, stride;
        memset(out, 0x5c, sizeof out);
        load_form(form, base, form % 2 == 0 ? 68 : -68, &offset, &stride);
        store_full(out[0], sizeof out[0]);
        for (int r = 0; r < ROWS; r++) {
            assert_memory_equal(out[r], base + offset + r * stride, ROW_BYTES);
            for (size_t i = ROW_BYTES; i < sizeof out[r]; i++)
                assert_int_equal(out[r][i], 0x5c);
        }
    }
    release();
}

/* c += a * b on tiles 0..2, the instruction chosen by the signs. */
AMX_CODE static void multiply(int32_t *c, const uint8_t *a, const uint8_t *b, bool a_signed,
                              bool b_signed)
{
    int64_t stride_c = 28, stride_a = 44, stride_b = 28;
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm0" : : "r"(c), "r"(stride_c) : "memory");
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm1" : : "r"(a), "r"(stride_a) : "memory");
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm2" : : "r"(b), "r"(stride_b) : "memory");
    if (a_signed && b_signed)
        __asm__ volatile("tdpbssd %%tmm2, %%tmm1, %%tmm0" : : : "memory");
    else if (a_signed)
        __asm__ volatile("tdpbsud %%tmm2, %%tmm1, %%tmm0" : : : "memory");
    else if (b_signed)
        __asm__ volatile("tdpbusd %%tmm2, %%tmm1, %%tmm0" : : : "memory");
    else
        __asm__ volatile("tdpbuud %%tmm2, %%tmm1, %%tmm0" : : : "memory");
    __asm__ volatile("tilestored %%tmm0, (%0,%1,1)" : : "r"(c), "r"(stride_c) : "memory");
}

static int number(uint8_t byte, bool is_signed)
{
    return is_signed ? (int8_t)byte : byte;
}

static void four_signs_of_a_partial_tile(void **state)
{
    (void)state;
    begin();
    for (int signs = 0; signs < 4; signs++) {
        bool a_signed = (signs & 1) != 0, b_signed = (signs & 2) != 0;
        const uint8_t *a = source + 1000 * signs, *b = source + 5000 + 1000 * signs;
        int32_t c[5 * 7 + 1], expected[5 * 7];
        for (int i = 0; i < 5 * 7; i++) {
            int m = i / 7, n = i % 7;
            int64_t sum = c[i] = (int32_t)(INT32_MAX - 10000 * i); /* some sums wrap */
            for (int k = 0; k < 44; k++)
                sum += number(a[m * 44 + k], a_signed) *
                       number(b[k / 4 * 28 + 4 * n + k % 4], b_signed);
            uint32_t wrapped = (uint32_t)sum;
            memcpy(&expected[i], &wrapped, 4);
        }
        c[5 * 7] = 12345;
        multiply(c, a, b, a_signed, b_signed);
        assert_memory_equal(c, expected, sizeof expected);
        assert_int_equal(c[5 * 7], 12345);
    }
    release();
}

static void tiles_belong_to_a_thread(void **state)
{
    int bad = 0;
    (void)state;
    begin();
    release();
#pragma omp parallel for num_threads(4) reduction(+ : bad) schedule(static, 1)
    for (int t = 0; t < 64; t++) {
        uint8_t out[ROWS][ROW_BYTES];
        int64_t offset, stride;
        configure();
        load_form(0, source + 512 * t, 64, &offset, &stride);
        for (int i = 0; i < 20; i++) {
            memset(out, 0, sizeof out);
            store_full(out[0], 64);
            bad += memcmp(out, source + 512 * t, sizeof out) != 0;
        }
        release();
    }
    assert_int_equal(bad, 0);
}

/* The signal that ends a child process which runs `act`; 0 if none does. */
static int deadly_signal(void (*act)(void))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGILL, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        if (!amx_emulator_install())
            _exit(1);
        configure();
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void run_ud2(void)
{
    __asm__ volatile("ud2");
}

AMX_CODE static void use_released_tiles(void)
{
    release();
    __asm__ volatile("tilezero %%tmm3" : : : "memory");
}

AMX_CODE static void use_unconfigured_tile(void)
{
    __asm__ volatile("tilezero %%tmm4" : : : "memory");
}

AMX_CODE static void multiply_unequal_shapes(void)
{
    __asm__ volatile("tdpbssd %%tmm1, %%tmm2, %%tmm0" : : : "memory");
}

/* In a child process: the configuration is its own. */
static void configure_reserved_byte(void)
{
    config.reserved[13] = 1;
    configure();
}

static void configure_ninth_tile(void)
{
    config.row_bytes[8] = 64;
    config.rows[8] = 16;
    configure();
}

static void configure_last_tile_columns(void)
{
    config.row_bytes[15] = 4;
    configure();
}

static void configure_last_tile_rows(void)
{
    config.rows[15] = 1;
    configure();
}

static void configure_rows_without_columns(void)
{
    config.rows[4] = 1;
    configure();
}

static void configure_columns_without_rows(void)
{
    config.row_bytes[4] = 4;
    configure();
}

static void configure_wide_row(void)
{
    config.row_bytes[3] = 65;
    configure();
}

static void configure_again(void)
{
    config.row_bytes[7] = 64;
    config.rows[7] = 16;
    configure();
}

AMX_CODE static void do_nothing_wrong(void)
{
    __asm__ volatile("tilezero %%tmm3" : : : "memory");
}

static void other_instructions_still_kill(void **state)
{
    (void)state;
    begin();
    release();
    assert_int_equal(deadly_signal(do_nothing_wrong), 0);
    assert_int_equal(deadly_signal(run_ud2), SIGILL);
    assert_int_equal(deadly_signal(use_released_tiles), SIGILL);
    assert_int_equal(deadly_signal(use_unconfigured_tile), SIGILL);
    assert_int_equal(deadly_signal(multiply_unequal_shapes), SIGILL);
}

/* A processor answers a wrong configuration by a general protection fault, SIGSEGV on Linux. */
static void wrong_configurations_kill(void **state)
{
    static void (*const wrong[])(void) = {
        configure_reserved_byte,  configure_ninth_tile,           configure_last_tile_columns,
        configure_last_tile_rows, configure_rows_without_columns, configure_columns_without_rows,
        configure_wide_row,
    };
    (void)state;
    begin();
    release();
    const int expected = amx_emulator_count() == 0 ? SIGSEGV : SIGILL;
    assert_int_equal(deadly_signal(configure_again), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(deadly_signal(wrong[i]), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_addressing_form),
        cmocka_unit_test(four_signs_of_a_partial_tile),
        cmocka_unit_test(tiles_belong_to_a_thread),
        cmocka_unit_test(other_instructions_still_kill),
        cmocka_unit_test(wrong_configurations_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#include <stdio.h>

int main(void)
{
    printf("skipped: AMX exists on x86-64 only\n");
    return 77;
}

#endif
