/* commands.h - the register of commands of the control socket. */
#ifndef HOLDFAST_DAEMON_COMMANDS_H
#define HOLDFAST_DAEMON_COMMANDS_H

#include "control/control.h"

/* For control_new(), whose arg is a struct command_context. */
extern const struct control_command commands_register[];

#endif
