/* check_tls.h - what is wrong with a service's tls settings: what does not go together; and, asked of holdfast-tls,
 * which alone may read them, its files. */
#ifndef HOLDFAST_CONFIG_CHECK_TLS_H
#define HOLDFAST_CONFIG_CHECK_TLS_H

#include "config/read.h"

/* Adds errors and warnings of what stands in the file. */
void check_tls(struct reader *reader, const struct read_service *service);

/* For -t: of all services' files and certificates.  Waits for holdfast-tls, in all for some seconds. */
void check_tls_files(struct reader *reader);

#endif
