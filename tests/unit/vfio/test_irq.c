// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupts: which kind, which vectors, and that off means off. */
#include "device.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "emu_internal.h"

#define VECTORS 9

static int fds[VECTORS];

static int setup_fds(void **state)
{
	for (unsigned int i = 0; i < VECTORS; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	return setup(state);
}

static int close_fds(void **state)
{
	for (unsigned int i = 0; i < VECTORS; i++)
		close(fds[i]);

	return teardown(state);
}

/* Whether the eventfd was signalled; it is not afterwards. */
static bool signalled(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

/* The device asks for an interrupt, as a controller does for a completion. */
static void interrupt(unsigned int vector)
{
	emu_lock();
	irq_signal(hw, vector);
	emu_unlock(NULL);
}

static void set_level(bool level)
{
	emu_lock();
	irq_set_level(hw, level);
	emu_unlock(NULL);
}

static unsigned int enabled(enum vfn_irq_type type)
{
	return emu_pci_irq_enabled(hw, type);
}

/* ---- which kind ---- */

static void kind_is_msix_where_there_is(void **state)
{
	open_with(.msi_vectors = 4);
	assert_int_equal(pci.dev.irq_info.index, VFN_IRQ_MSIX);
	assert_int_equal(pci.dev.irq_info.count, VECTORS);
}

static void kind_is_msi_without_msix(void **state)
{
	open_with(.no_msix = true, .msi_vectors = 4);
	assert_int_equal(pci.dev.irq_info.index, VFN_IRQ_MSI);
	assert_int_equal(pci.dev.irq_info.count, 4);
}

static void kind_is_intx_without_both(void **state)
{
	open_with(.no_msix = true);
	assert_int_equal(pci.dev.irq_info.index, VFN_IRQ_INTX);
	assert_int_equal(pci.dev.irq_info.count, 1);
}

/* V17 */
static void device_without_interrupts_opens_for_polling(void **state)
{
	open_with(.no_msix = true, .no_intx = true);
	assert_int_equal(pci.dev.irq_info.count, 0);
	assert_fails_with(vfio_set_irq(&pci.dev, fds, 1), EINVAL);
	assert_int_equal(vfio_disable_irq(&pci.dev), 0);
}

static void select_takes_another_kind(void **state)
{
	open_with(.msi_vectors = 4);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 2), 0);
	assert_int_equal(vfn_vfio_select_irq(&pci, VFN_IRQ_INTX), 0);
	assert_int_equal(pci.dev.irq_info.index, VFN_IRQ_INTX);
	assert_int_equal(enabled(VFN_IRQ_MSIX), 0);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	assert_int_equal(enabled(VFN_IRQ_INTX), 1);
	assert_int_equal(vfn_vfio_select_irq(&pci, VFN_IRQ_MSI), 0);
	assert_int_equal(enabled(VFN_IRQ_INTX), 0);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 4), 0);
	assert_int_equal(enabled(VFN_IRQ_MSI), 4);
}

static void select_of_what_is_not_there_is_not_supported(void **state)
{
	open_with(.no_intx = true);
	assert_fails_with(vfn_vfio_select_irq(&pci, VFN_IRQ_MSI), ENOTSUP);
	assert_fails_with(vfn_vfio_select_irq(&pci, VFN_IRQ_INTX), ENOTSUP);
	assert_fails_with(vfn_vfio_select_irq(&pci, (enum vfn_irq_type)99), ENOTSUP);
	assert_int_equal(pci.dev.irq_info.index, VFN_IRQ_MSIX);
}

static void select_for_a_closed_device_is_enodev(void **state)
{
	assert_fails_with(vfn_vfio_select_irq(&pci, VFN_IRQ_MSIX), ENODEV);
}

static void vectors_beyond_what_pci_has_are_refused(void **state)
{
	plug((struct emu_pci_opts){ .msix_vectors = 2049 });
	assert_fails_with(vfio_pci_open(&pci, EMU_BDF), EPROTO);
	assert_int_equal(emu_usage().fds, 0);
	emu_pci_find(EMU_BDF)->irq[VFIO_PCI_MSIX_IRQ_INDEX].count = 2048;
	open_device();
	assert_int_equal(pci.dev.irq_info.count, 2048);
}

static void select_that_fails_has_the_errno_of_the_kernel(void **state)
{
	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	emu_fail_at(EMU_IOCTL, 1, EIO);
	assert_fails_with(vfn_vfio_select_irq(&pci, VFN_IRQ_INTX), EIO);
	emu_fail_at(EMU_IOCTL, 2, EIO);
	assert_fails_with(vfn_vfio_select_irq(&pci, VFN_IRQ_INTX), EIO);
}

/* ---- vectors ---- */

static void vector_signals_its_eventfd(void **state)
{
	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 0, 3), 0);
	interrupt(1);
	assert_false(signalled(fds[0]));
	assert_true(signalled(fds[1]));
	assert_false(signalled(fds[2]));
}

static void set_irq_without_start_begins_at_the_first(void **state)
{
	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 2), 0);
	interrupt(0);
	assert_true(signalled(fds[0]));
}

static void set_irq_of_minus_one_leaves_the_vector_without_eventfd(void **state)
{
	int mixed[] = { fds[0], -1, fds[2] };

	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, mixed, 0, 3), 0);
	interrupt(2);
	assert_true(signalled(fds[2]));
	mixed[2] = -1;
	assert_int_equal(vfio_set_irq(&pci.dev, mixed, 0, 3), 0);
	interrupt(2);
	assert_false(signalled(fds[2]));
}

/* Kernels before 6.5 cannot add vectors: the first call takes them all. */
static void vector_can_be_added_where_the_kernel_cannot_resize(void **state)
{
	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, &fds[0], 0, 1), 0);
	assert_int_equal(enabled(VFN_IRQ_MSIX), VECTORS);
	assert_int_equal(vfio_set_irq(&pci.dev, &fds[5], 5, 1), 0);
	interrupt(5);
	assert_true(signalled(fds[5]));
	interrupt(0);
	assert_true(signalled(fds[0]));
}

static void vector_can_be_added_where_the_kernel_can_resize(void **state)
{
	open_with(.msix_dynamic = true);
	assert_int_equal(vfio_set_irq(&pci.dev, &fds[0], 0, 1), 0);
	assert_int_equal(vfio_set_irq(&pci.dev, &fds[8], 8, 1), 0);
	interrupt(8);
	assert_true(signalled(fds[8]));
}

static void vectors_outside_are_refused(void **state)
{
	open_with();
	assert_fails_with(vfio_set_irq(&pci.dev, fds, 0, VECTORS + 1), EINVAL);
	assert_fails_with(vfio_set_irq(&pci.dev, fds, VECTORS, 1), EINVAL);
	assert_fails_with(vfio_set_irq(&pci.dev, fds, -1, 1), EINVAL);
	assert_fails_with(vfio_set_irq(&pci.dev, fds, 0, 0), EINVAL);
	assert_fails_with(vfio_set_irq(&pci.dev, fds, 0, -1), EINVAL);
	assert_fails_with(vfio_set_irq(&pci.dev, fds, 1, INT32_MAX), EINVAL);
	assert_fails_with(vfio_disable_irq(&pci.dev, 3, VECTORS), EINVAL);
	assert_int_equal(emu_call_count("ioctl DEVICE_SET_IRQS"), 0);
}

/* V17 */
static void eventfd_that_is_none_is_refused(void **state)
{
	int pipe_fds[2], bad = 999;

	open_with();
	assert_int_equal(pipe(pipe_fds), 0);
	assert_fails_with(vfio_set_irq(&pci.dev, &bad, 1), EBADF);
	assert_fails_with(vfio_set_irq(&pci.dev, &pipe_fds[0], 1), EINVAL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
}

/* V17: the host has fewer vectors than the device */
static void vectors_that_the_host_has_are_given(void **state)
{
	open_with(.vectors_avail = 4);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 3), 0);
	assert_int_equal(enabled(VFN_IRQ_MSIX), 3);
	interrupt(2);
	assert_true(signalled(fds[2]));
}

/* V17 */
static void vectors_beyond_what_the_host_has_are_enospc(void **state)
{
	open_with(.vectors_avail = 4);
	assert_fails_with(vfio_set_irq(&pci.dev, fds, 5), ENOSPC);
	assert_int_equal(enabled(VFN_IRQ_MSIX), 0);
	assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, fds, 4, VECTORS), 4);
	assert_int_equal(vfio_disable_irq(&pci.dev), 0);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 4), 0);
}

/* V17 */
static void vectors_beyond_those_in_use_are_enospc(void **state)
{
	open_with(.vectors_avail = 4);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 2), 0);
	assert_fails_with(vfio_set_irq(&pci.dev, &fds[2], 2, 1), ENOSPC);
	assert_error_has("disable them first");
	assert_int_equal(vfio_disable_irq(&pci.dev), 0);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 3), 0);
}

/* Programs ask for ever fewer vectors until the kernel has them all. */
static void falling_counts_find_what_the_host_has(void **state)
{
	int count = VECTORS;

	open_with(.vectors_avail = 5);
	while (count && vfio_disable_irq(&pci.dev, 0, count)) {
		assert_int_equal(errno, ENOSPC);
		count--;
	}
	assert_int_equal(count, 5);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, count), 0);
	interrupt(4);
	assert_true(signalled(fds[4]));
}

static void set_irq_without_memory_is_enomem(void **state)
{
	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	emu_fail_at(EMU_ALLOC, 1, ENOMEM);
	assert_fails_with(vfio_set_irq(&pci.dev, fds, 1), ENOMEM);
	emu_fail_at(EMU_ALLOC, 1, ENOMEM);
	assert_fails_with(vfio_disable_irq(&pci.dev, 0, 1), ENOMEM);
}

/* ---- off ---- */

static void disable_takes_the_eventfd_and_keeps_the_vector(void **state)
{
	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 2), 0);
	assert_int_equal(vfio_disable_irq(&pci.dev, 1, 1), 0);
	interrupt(1);
	assert_false(signalled(fds[1]));
	interrupt(0);
	assert_true(signalled(fds[0]));
	assert_int_equal(enabled(VFN_IRQ_MSIX), VECTORS);
	assert_int_equal(vfio_set_irq(&pci.dev, &fds[1], 1, 1), 0);
	interrupt(1);
	assert_true(signalled(fds[1]));
}

/* W38 */
static void disable_all_gives_the_vectors_back(void **state)
{
	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, fds, VECTORS), 0);
	assert_int_equal(vfio_disable_irq_all(&pci.dev), 0);
	assert_int_equal(enabled(VFN_IRQ_MSIX), 0);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	assert_int_equal(enabled(VFN_IRQ_MSIX), VECTORS);
}

/* W38 */
static void disable_without_vectors_is_disable_all(void **state)
{
	open_with(.no_msix = true, .msi_vectors = 4);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 4), 0);
	assert_int_equal(vfio_disable_irq(&pci.dev), 0);
	assert_int_equal(enabled(VFN_IRQ_MSI), 0);
}

static void disable_all_of_what_is_off_makes_no_call(void **state)
{
	open_with();
	emu_calls_clear();
	assert_int_equal(vfio_disable_irq_all(&pci.dev), 0);
	assert_string_equal(emu_calls(), "");
}

static void disable_that_fails_can_be_repeated(void **state)
{
	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	emu_fail_at(EMU_IOCTL, 1, EIO);
	assert_fails_with(vfio_disable_irq_all(&pci.dev), EIO);
	emu_fail_at(EMU_IOCTL, 1, EIO);
	assert_fails_with(vfio_disable_irq(&pci.dev, 0, 1), EIO);
	assert_int_equal(vfio_disable_irq_all(&pci.dev), 0);
	assert_int_equal(enabled(VFN_IRQ_MSIX), 0);
}

/* ---- INTx ---- */

/* W38: the kernel masks it each time it fires */
static void intx_fires_again_after_unmask(void **state)
{
	open_with(.no_msix = true);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	for (unsigned int i = 0; i < 5; i++) {
		set_level(true);
		assert_true(signalled(fds[0]));
		set_level(false);
		set_level(true);
		assert_false(signalled(fds[0]));
		set_level(false);
		assert_int_equal(vfn_vfio_unmask_irq(&pci.dev), 0);
		assert_false(signalled(fds[0]));
	}
}

/* W38 */
static void intx_that_is_still_asserted_fires_at_unmask(void **state)
{
	open_with(.no_msix = true);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	set_level(true);
	assert_true(signalled(fds[0]));
	assert_int_equal(vfn_vfio_unmask_irq(&pci.dev), 0);
	assert_true(signalled(fds[0]));
}

static void intx_that_is_off_is_off(void **state)
{
	open_with(.no_msix = true);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	assert_int_equal(vfio_disable_irq(&pci.dev, 0, 1), 0);
	assert_int_equal(enabled(VFN_IRQ_INTX), 0);
	set_level(true);
	assert_false(signalled(fds[0]));
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	assert_true(signalled(fds[0]));
}

static void intx_of_minus_one_is_off(void **state)
{
	int none = -1;

	open_with(.no_msix = true);
	assert_int_equal(vfio_set_irq(&pci.dev, &none, 1), 0);
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	assert_int_equal(vfio_set_irq(&pci.dev, &none, 1), 0);
	assert_int_equal(enabled(VFN_IRQ_INTX), 0);
	assert_int_equal(vfio_disable_irq(&pci.dev), 0);
}

static void unmask_of_msix_has_nothing_to_do(void **state)
{
	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, fds, 1), 0);
	emu_calls_clear();
	assert_int_equal(vfn_vfio_unmask_irq(&pci.dev), 0);
	assert_string_equal(emu_calls(), "");
}

static void unmask_of_intx_that_is_off_fails(void **state)
{
	open_with(.no_msix = true);
	assert_fails_with(vfn_vfio_unmask_irq(&pci.dev), EINVAL);
}

/* ---- as many as there are ---- */

static void setup_gives_all_where_the_host_has_them(void **state)
{
	open_with();
	assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, fds, 1, VECTORS), VECTORS);
	assert_int_equal(enabled(VFN_IRQ_MSIX), VECTORS);
	interrupt(VECTORS - 1);
	assert_true(signalled(fds[VECTORS - 1]));

	/* and again, with less */
	assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, fds, 1, 2), 2);
	assert_int_equal(enabled(VFN_IRQ_MSIX), 2);
}

static void setup_gives_no_more_than_the_device_has(void **state)
{
	int many[2 * VECTORS];

	memset(many, 0xff, sizeof(many));
	open_with();
	assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, many, 1, 2 * VECTORS), VECTORS);
}

/* V17 */
static void setup_takes_what_the_host_has(void **state)
{
	for (unsigned int dynamic = 0; dynamic < 2; dynamic++) {
		open_with(.vectors_avail = 4, .msix_dynamic = dynamic,
			  .bdf = dynamic ? EMU_BDF : NULL);
		assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, fds, 1, VECTORS), 4);
		assert_int_equal(enabled(VFN_IRQ_MSIX), 4);
		interrupt(3);
		assert_true(signalled(fds[3]));
		assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, fds, 4, 4), 4);
		assert_fails_with(vfn_vfio_setup_irqs(&pci.dev, fds, 5, VECTORS), ENOSPC);
		assert_int_equal(enabled(VFN_IRQ_MSIX), 0);
		if (!dynamic) {
			assert_int_equal(vfio_pci_close(&pci), 0);
			teardown(NULL);
			setup(NULL);
		}
	}
}

static void setup_tries_what_the_host_offers_next(void **state)
{
	open_with(.vectors_avail = 4);
	emu_calls_clear();
	assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, fds, 4, VECTORS), 4);
	assert_int_equal(emu_call_count("ioctl DEVICE_SET_IRQS"), 2);
}

/* Not every kernel says how many it could give. */
static void setup_searches_where_the_kernel_does_not_say(void **state)
{
	static const int errs[] = { ENOSPC, EINVAL };

	open_with();
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(errs); i++) {
		emu_fail_at(EMU_IOCTL, 1, errs[i]);
		assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, fds, 1, VECTORS), VECTORS - 1);
		assert_int_equal(enabled(VFN_IRQ_MSIX), VECTORS - 1);
		assert_int_equal(vfio_disable_irq_all(&pci.dev), 0);
	}
}

static void setup_that_cannot_be_is_refused(void **state)
{
	int wrong = 999;

	open_with();
	assert_fails_with(vfn_vfio_setup_irqs(&pci.dev, fds, 0, 1), EINVAL);
	assert_fails_with(vfn_vfio_setup_irqs(&pci.dev, fds, 2, 1), EINVAL);
	assert_fails_with(vfn_vfio_setup_irqs(&pci.dev, fds, VECTORS + 1, VECTORS + 1), ENOSPC);
	assert_fails_with(vfn_vfio_setup_irqs(&pci.dev, &wrong, 1, 1), EBADF);
	emu_fail_at(EMU_IOCTL, 1, EIO);
	assert_fails_with(vfn_vfio_setup_irqs(&pci.dev, fds, 1, 4), EIO);
	assert_int_equal(enabled(VFN_IRQ_MSIX), 0);
}

static void fewer_vectors_than_tried_are_no_error(void **state)
{
	open_with(.vectors_avail = 4);
	assert_messages(vfn_vfio_setup_irqs(&pci.dev, fds, 1, VECTORS), 0, 1);
	assert_messages(vfn_vfio_setup_irqs(&pci.dev, fds, 5, 5), 1, 1);
	assert_messages(vfio_set_irq(&pci.dev, fds, 0, 4), 0, 1);
	assert_int_equal(vfio_disable_irq_all(&pci.dev), 0);
	assert_messages(vfio_set_irq(&pci.dev, fds, 0, 5), 1, 2);
}

static void setup_of_intx_is_one(void **state)
{
	open_with(.no_msix = true);
	assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, fds, 1, 4), 1);
	set_level(true);
	assert_true(signalled(fds[0]));
}

static void setup_without_interrupts_is_not_supported(void **state)
{
	open_with(.no_msix = true, .no_intx = true);
	assert_fails_with(vfn_vfio_setup_irqs(&pci.dev, fds, 1, 1), ENOTSUP);
}

/* ---- irq_info ---- */

static void info_is_that_of_the_kind_in_use(void **state)
{
	struct vfio_irq_info info = { .argsz = sizeof(info) };

	open_with();
	assert_int_equal(vfio_pci_get_irq_info(&pci, &info), 0);
	assert_int_equal(info.index, VFN_IRQ_MSIX);
	assert_int_equal(info.count, VECTORS);
}

/* W21 */
static void info_takes_no_more_room_than_argsz(void **state)
{
	struct {
		struct vfio_irq_info info;
		uint32_t behind;
	} room;

	open_with();
	memset(&room, 0xee, sizeof(room));
	room.info.argsz = 8;
	assert_int_equal(vfio_pci_get_irq_info(&pci, &room.info), 0);
	assert_int_equal(room.info.count, 0xeeeeeeee);

	memset(&room, 0xee, sizeof(room));
	room.info.argsz = 4096;
	assert_int_equal(vfio_pci_get_irq_info(&pci, &room.info), 0);
	assert_int_equal(room.info.count, VECTORS);
	assert_int_equal(room.behind, 0xeeeeeeee);

	room.info.argsz = 0;
	assert_int_equal(vfio_pci_get_irq_info(&pci, &room.info), 0);
	assert_int_equal(room.info.count, VECTORS);
}

/* W21 */
static void info_with_too_little_room_is_refused(void **state)
{
	struct vfio_irq_info info = { .argsz = 3 };

	open_with();
	assert_fails_with(vfio_pci_get_irq_info(&pci, &info), EINVAL);
}

static void info_of_a_closed_device_is_enodev(void **state)
{
	struct vfio_irq_info info = {};

	assert_fails_with(vfio_pci_get_irq_info(&pci, &info), ENODEV);
}

#undef test
#define test(name) cmocka_unit_test_setup_teardown(name, setup_fds, close_fds)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(kind_is_msix_where_there_is),
		test(kind_is_msi_without_msix),
		test(kind_is_intx_without_both),
		test(device_without_interrupts_opens_for_polling),
		test(select_takes_another_kind),
		test(select_of_what_is_not_there_is_not_supported),
		test(select_for_a_closed_device_is_enodev),
		test(vectors_beyond_what_pci_has_are_refused),
		test(select_that_fails_has_the_errno_of_the_kernel),
		test(vector_signals_its_eventfd),
		test(set_irq_without_start_begins_at_the_first),
		test(set_irq_of_minus_one_leaves_the_vector_without_eventfd),
		test(vector_can_be_added_where_the_kernel_cannot_resize),
		test(vector_can_be_added_where_the_kernel_can_resize),
		test(vectors_outside_are_refused),
		test(eventfd_that_is_none_is_refused),
		test(vectors_that_the_host_has_are_given),
		test(vectors_beyond_what_the_host_has_are_enospc),
		test(vectors_beyond_those_in_use_are_enospc),
		test(falling_counts_find_what_the_host_has),
		test(set_irq_without_memory_is_enomem),
		test(disable_takes_the_eventfd_and_keeps_the_vector),
		test(disable_all_gives_the_vectors_back),
		test(disable_without_vectors_is_disable_all),
		test(disable_all_of_what_is_off_makes_no_call),
		test(disable_that_fails_can_be_repeated),
		test(intx_fires_again_after_unmask),
		test(intx_that_is_still_asserted_fires_at_unmask),
		test(intx_that_is_off_is_off),
		test(intx_of_minus_one_is_off),
		test(unmask_of_msix_has_nothing_to_do),
		test(unmask_of_intx_that_is_off_fails),
		test(setup_gives_all_where_the_host_has_them),
		test(setup_gives_no_more_than_the_device_has),
		test(setup_takes_what_the_host_has),
		test(setup_tries_what_the_host_offers_next),
		test(setup_searches_where_the_kernel_does_not_say),
		test(setup_that_cannot_be_is_refused),
		test(fewer_vectors_than_tried_are_no_error),
		test(setup_of_intx_is_one),
		test(setup_without_interrupts_is_not_supported),
		test(info_is_that_of_the_kind_in_use),
		test(info_takes_no_more_room_than_argsz),
		test(info_with_too_little_room_is_refused),
		test(info_of_a_closed_device_is_enodev),
	};

	return cmocka_run_group_tests_name("irq", tests, NULL, NULL);
}
