/* Writing a model's folder.  See make_folder.h. */
#include "make_folder.h"

#include "interrupt.h"
#include "progress.h"
#include "report.h"

int make_folder(cli_args *args, make_folder_fn *call, const char *kind)
{
    progress shown;
    interrupt_catch();
    const mts_callbacks callbacks = progress_begin(&shown, 1);
    const mts_status st = call(args->ctx, &args->options, &callbacks);
    progress_end(&shown);
    if (st == MTS_ERR_INTERRUPTED) {
        fprintf(stderr, "mantissa: %s\n", mts_error_text(args->ctx));
        return EXIT_INTERRUPTED;
    }
    if (st == MTS_OK)
        fprintf(stderr, "the %s model is in %s\n", kind, args->options.output_dir);
    return cli_report(args->ctx, st);
}
