/* SPDX-License-Identifier: Apache-2.0
 *
 * html.h: text made safe for HTML; everything that a user wrote goes through here.
 */
#ifndef STACKSIM_REPORTS_HTML_H
#define STACKSIM_REPORTS_HTML_H

#include "base/text.h"

/* Escapes & < > " ' for element content and quoted attributes. Control characters other
 * than tab and newline become U+FFFD, since HTML has no way to write them. */
void html_add(struct text *out, const char *text);

#endif
