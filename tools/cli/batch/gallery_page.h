/* cli/batch/gallery_page.h: the constant parts of the gallery's page, which the build puts into C
 * (tools/embed): the page up to where the facts of the run stand, and from there on. */
#ifndef CLI_BATCH_GALLERY_PAGE_H
#define CLI_BATCH_GALLERY_PAGE_H

extern const unsigned char gallery_page_top[], gallery_page_bottom[]; /* ended by 0 */

#endif
