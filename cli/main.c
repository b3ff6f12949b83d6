/*
 * mantissa: the command.  Picks the sub-command, parses its words, runs it.
 *
 * Path: main -> args_parse -> cmd_<name>.c -> mantissa.h.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

static const cli_command *const commands[] = {&command_train,
                                              &command_eval,
                                              &command_predict,
                                              &command_generate,
                                              &command_export,
                                              &command_merge,
                                              &command_quantize,
                                              &command_synth,
                                              &command_tokenize,
                                              &command_info,
                                              NULL};

static const cli_command *find_command(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* Standard output may be a full disk: a result that was not written is a failure. */
static int finish(int code)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK) {
        cli_error("cannot write standard output");
        return EXIT_FAILED;
    }
    return code;
}

static int run_command(const cli_command *command, int count, char **words)
{
    cli_args args = {.format = "tsv"};
    int code = EXIT_USAGE;
    mts_options_default(&args.options);
    const mts_status st = mts_ctx_create(&args.ctx);
    if (st != MTS_OK)
        return cli_report(NULL, st);
    switch (args_parse(command, &args, count, words)) {
    case ARGS_RUN:
        code = command->run(&args);
        break;
    case ARGS_HELP:
        help_print_command(stdout, command);
        code = EXIT_OK;
        break;
    case ARGS_BAD:
        break;
    case ARGS_FAILED:
        code = EXIT_FAILED;
        break;
    }
    mts_ctx_destroy(args.ctx);
    return code;
}

/*
 * OpenMP threads spin at the end of each parallel loop.  Where another program wants the same
 * processors, a spinning thread keeps the working one waiting, and a run takes several times as
 * long. libgomp reads its settings before main: so the command starts itself anew with a short
 * spin, unless the environment already says how to wait.
 */
static void limit_spinning(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") != NULL || getenv("OMP_WAIT_POLICY") != NULL)
        return;
    if (setenv("GOMP_SPINCOUNT", "2000", 1) == 0)
        execv("/proc/self/exe", argv); /* where that fails, the present process serves as well */
}

int main(int argc, char **argv)
{
    limit_spinning(argv);
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("mantissa %s\n", MTS_VERSION);
        return finish(EXIT_OK);
    }
    const bool help =
        strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (help && argc <= 2) {
        help_print_program(stdout, commands);
        return finish(EXIT_OK);
    }
    if (argc < 2) {
        help_print_program(stderr, commands);
        return EXIT_USAGE;
    }
    const cli_command *command = find_command(help ? argv[2] : name);
    if (command == NULL) {
        cli_error("unknown command '%s'; see: mantissa help", help ? argv[2] : name);
        return EXIT_USAGE;
    }
    if (help) {
        help_print_command(stdout, command);
        return finish(EXIT_OK);
    }
    return finish(run_command(command, argc - 2, argv + 2));
}
