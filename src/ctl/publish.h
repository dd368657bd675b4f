/* publish.h - holdfastctl publish: keeps an instance's entry in a catalog for as long as it runs, or as its command
 * does, or as its check passes.  The daemon is not asked.
 */
#ifndef HOLDFAST_CTL_PUBLISH_H
#define HOLDFAST_CTL_PUBLISH_H

/* argv[0] is "publish".  The exit code: of the command, if there is one and it ran. */
int publish_run(int argc, char **argv);

#endif
