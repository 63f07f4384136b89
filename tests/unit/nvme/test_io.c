// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads and writes in two calls: every size and place, every error, and nothing lost or twice. */
#include "machine.h"

#include <vfn/nvme/io.h>
#include <vfn/support/align.h>

#include "iommu/table.h"

#define SEED 0x10

static struct vfn_nvme_io prepare(struct machine *m, uint8_t opcode)
{
	struct vfn_nvme_io io;

	assert_int_equal(vfn_nvme_io_prep(&io, &m->ctrl, opcode, 1, 9), 0);

	return io;
}

/* Submit one command, and take its completion. */
static void do_io(struct machine *m, struct vfn_nvme_io *io, uint64_t slba, uint32_t nlb, void *buf)
{
	struct vfn_nvme_done done;

	assert_int_equal(vfn_nvme_io_submit(m->sq, io, slba, nlb, buf, buf), 0);
	assert_int_equal(vfn_nvme_io_poll(m->sq, &done, 1), 1);
	assert_ptr_equal(done.opaque, buf);
	assert_true(nvme_cqe_ok(&done.cqe));
}

static char *disk(struct machine *m)
{
	return emu_nvme_disk(m->nvme, 1, NULL);
}

static void data_of_any_size_at_any_place_is_transferred(void **state)
{
	static const size_t offsets[] = { 0, 4, 512, 3584, 4092 };
	static const uint32_t blocks[] = { 1, 2, 7, 8, 9, 16, 17, 31, 64, 255, 256, 1000, 1024 };
	uint64_t seed = SEED;
	struct vfn_nvme_io read, write;
	struct iommu_dmabuf buf;
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m.ctrl), &buf, MIB, 0), 0);
	read = prepare(&m, OP_READ);
	write = prepare(&m, OP_WRITE);

	for (size_t i = 0; i < UNIT_ARRAY_SIZE(offsets); i++) {
		for (size_t k = 0; k < UNIT_ARRAY_SIZE(blocks); k++) {
			char *data = (char *)buf.vaddr + offsets[i];
			size_t len = blocks[k] * 512UL;

			fill_random(data, len, &seed);
			do_io(&m, &write, 3, blocks[k], data);
			assert_memory_equal(disk(&m) + 3 * 512, data, len);

			fill_random(disk(&m), 3 * 512 + len, &seed);
			memset(buf.vaddr, 0x5a, MIB);
			do_io(&m, &read, 3, blocks[k], data);
			assert_memory_equal(disk(&m) + 3 * 512, data, len);
			for (char *p = buf.vaddr; p < data; p++)
				assert_int_equal(*p, 0x5a);
			for (char *p = data + len; p < (char *)buf.vaddr + MIB; p++)
				assert_int_equal(*p, 0x5a);
		}
	}

	iommu_put_dmabuf(&buf);
	stop(&m);
}

static void nothing_reaches_the_controller_before_a_poll(void **state)
{
	struct vfn_nvme_done done[8];
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_READ);
	for (int i = 0; i < 5; i++)
		assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, NULL), 0);
	emu_run();
	assert_int_equal(m.sq->ptail, 0);
	assert_null(nvme_cq_get_cqe(m.cq));
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 8), 5);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 8), 0);
	stop(&m);
}

/* Of a queue without an interrupt the controller hears now and then, of one with an interrupt at once. */
static void head_doorbell_waits_for_a_quarter_of_the_queue(void **state)
{
	static const int vectors[] = { -1, 0 };

	for (size_t i = 0; i < UNIT_ARRAY_SIZE(vectors); i++) {
		struct vfn_nvme_done done;
		struct vfn_nvme_io io;
		struct machine m;

		emu_fini();
		emu_init();
		start_pair(&m, NULL, 8);
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, 2, 16, vectors[i], 0), 0);
		m.sq = &m.ctrl.sq[2];
		m.cq = &m.ctrl.cq[2];
		io = prepare(&m, OP_READ);
		for (int n = 1; n <= 100; n++) {
			int behind;

			assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, NULL), 0);
			assert_int_equal(vfn_nvme_io_poll(m.sq, &done, 1), 1);
			behind = (m.cq->head - m.cq->phead + 16) % 16;
			assert_true(behind <= (vectors[i] < 0 ? 4 : 0));
			assert_true(n != 4 || vectors[i] >= 0 || behind == 4);
		}
		stop(&m);
	}
}

static void poll_takes_no_more_than_there_is_room_for(void **state)
{
	struct vfn_nvme_done done[8];
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_READ);
	for (uintptr_t i = 0; i < 7; i++)
		assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, (void *)i), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, NULL, 0), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, NULL, -1), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 3), 3);
	assert_int_equal(free_requests(m.sq), 3);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done + 3, 5), 4);
	for (uintptr_t i = 0; i < 7; i++)
		assert_int_equal((uintptr_t)done[i].opaque, i);
	stop(&m);
}

/* Q1 */
static void full_queue_is_busy_until_a_poll(void **state)
{
	struct vfn_nvme_done done[4];
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 4);
	io = prepare(&m, OP_READ);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, NULL), 0);
	assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, NULL), EBUSY);
	assert_int_equal(m.sq->tail, 3);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 4), 3);
	assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, NULL), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 4), 1);
	stop(&m);
}

#define COMMANDS 2000UL

/* Rings and their phase go round; completions come in another order than commands. */
static void every_command_of_a_small_queue_completes_once(void **state)
{
	static const int sizes[] = { 2, 3, 5, 16 };

	for (size_t i = 0; i < UNIT_ARRAY_SIZE(sizes); i++) {
		uintptr_t submitted = 0, completed = 0;
		bool seen[COMMANDS] = {};
		struct vfn_nvme_done done[16];
		struct vfn_nvme_io io;
		struct machine m;
		int n;

		emu_fini();
		emu_init();
		start_pair(&m, NULL, sizes[i]);
		io = prepare(&m, OP_READ);
		for (uint32_t nth = 10; nth < COMMANDS && sizes[i] > 2; nth += 100)
			emu_nvme_fault(m.nvme, &(struct emu_fault){ .kind = EMU_REORDER,
								    .qid = 1,
								    .opcode = OP_READ,
								    .nth = nth });

		while (completed < COMMANDS) {
			while (submitted < COMMANDS &&
			       !vfn_nvme_io_submit(m.sq, &io, submitted, 1, m.buf.vaddr,
						   (void *)submitted))
				submitted++;

			n = vfn_nvme_io_poll(m.sq, done, 1 + (int)(submitted % 16));
			for (int k = 0; k < n; k++) {
				uintptr_t which = (uintptr_t)done[k].opaque;

				assert_false(seen[which]);
				seen[which] = true;
			}
			assert_int_not_equal(n, 0);
			completed += (uintptr_t)n;
		}
		stop(&m);
	}
}

static void bad_arguments_submit_nothing(void **state)
{
	struct vfn_nvme_io io;
	struct machine m;
	char *buf;

	start_pair(&m, NULL, 8);
	/* what lies behind the mapping is nothing that the library has mapped */
	buf = new_pages(4 * PAGE);
	map_at(&m, buf, 2 * PAGE, 0x10000000);
	io = prepare(&m, OP_READ);

	/* before the memory was seen, and after */
	for (int i = 0; i < 2; i++) {
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 0, buf, NULL), EINVAL);
		assert_error_has("0 blocks");
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 0, buf + 512, NULL), EINVAL);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 65537, buf, NULL), EINVAL);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, UINT32_MAX, buf, NULL), EINVAL);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 1, buf + 2, NULL), EINVAL);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 16, buf + 1, NULL), EINVAL);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 1, NULL, NULL), EFAULT);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 1, (void *)UINTPTR_MAX, NULL),
				  EINVAL);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 1, (void *)(1UL << 62), NULL),
				  EFAULT);
		/* the last block lies behind the end of the mapping */
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 9, buf + PAGE, NULL), EFAULT);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 2, buf + 2 * PAGE - 512, NULL),
				  EFAULT);
		assert_int_equal(m.sq->tail, i);
		assert_int_equal(free_requests(m.sq), 7);
		do_io(&m, &io, 0, 1, buf + 2 * PAGE - 512);
	}
	unmap(&m, buf);
	stop(&m);
	free(buf);
}

static void prep_refuses_what_cannot_be(void **state)
{
	struct nvme_ctrl closed = {};
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_fails_with(vfn_nvme_io_prep(&io, &closed, OP_READ, 1, 9), ENODEV);
	assert_fails_with(vfn_nvme_io_prep(&io, &m.ctrl, OP_READ, 1, 8), EINVAL);
	assert_fails_with(vfn_nvme_io_prep(&io, &m.ctrl, OP_READ, 1, 17), EINVAL);
	stop(&m);
}

/* What the last command taught must not outlive the mapping. */
static void memory_that_is_unmapped_or_moves_is_looked_up_anew(void **state)
{
	char *pages = new_pages(4 * PAGE);
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_READ);
	for (iova_t iova = 0x10000000; iova < 0x50000000; iova += 0x10000000) {
		fill_random(disk(&m), 4 * PAGE, &(uint64_t){ iova });
		map_at(&m, pages, 4 * PAGE, iova);
		do_io(&m, &io, 0, 1, pages);
		do_io(&m, &io, 0, 32, pages);
		assert_memory_equal(disk(&m), pages, 4 * PAGE);
		unmap(&m, pages);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 1, pages, NULL), EFAULT);
		assert_fails_with(vfn_nvme_io_submit(m.sq, &io, 0, 32, pages, NULL), EFAULT);
	}
	stop(&m);
	free(pages);
}

/* Memory in two mappings with different addresses, and between two parts of the table. */
/* More than one table is in use, and blocks from smaller than a page to much larger. */
static void memory_far_apart_takes_blocks_of_every_size(void **state)
{
	size_t far = 40UL << 20, len = 2UL << 16;
	char *pages = new_pages(far + len);
	struct nvme_cmd_rw *rw;
	struct machine m;

	start_pair(&m, NULL, 64);
	rw = m.sq->mem.vaddr;
	map_at(&m, pages, len, 0x10000000);
	map_at(&m, pages + far, len, 0x20000000);
	for (unsigned int shift = 9; shift <= 16; shift++) {
		struct vfn_nvme_io io;

		assert_int_equal(vfn_nvme_io_prep(&io, &m.ctrl, OP_READ, 1, shift), 0);
		for (int i = 0; i < 4; i++, rw++) {
			size_t place = i & 2 ? 512 : 0, from = i & 1 ? far : 0;
			iova_t iova = from ? 0x20000000 : 0x10000000;

			assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, pages + from + place,
							    NULL),
					 0);
			assert_int_equal(le64_to_cpu(rw->dptr.prp1), iova + place);
			assert_int_equal(le64_to_cpu(rw->dptr.prp2) != 0,
					 place + (1UL << shift) > PAGE);
		}
	}
	/* never to be seen by the controller, whose blocks have 512 bytes */
	m.sq->tail = 0;
	unmap(&m, pages);
	unmap(&m, pages + far);
	stop(&m);
	free(pages);
}

/* Two pages of memory that begin where another table of addresses does. */
static void memory_at_the_start_of_a_table_is_found(void **state)
{
	char *pages = new_pages(2 * TABLE_LEAF_BYTES);
	char *next = (char *)ALIGN_UP((uintptr_t)pages + 1, TABLE_LEAF_BYTES);
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_READ);
	fill_random(disk(&m), 2 * PAGE, &(uint64_t){ 1 });
	map_at(&m, next - PAGE, 3 * PAGE, 0x10000000);
	do_io(&m, &io, 0, 8, next - PAGE);
	do_io(&m, &io, 0, 16, next);
	assert_memory_equal(disk(&m), next, 2 * PAGE);
	unmap(&m, next - PAGE);
	stop(&m);
	free(pages);
}

static void data_in_several_mappings_is_transferred(void **state)
{
	char *mem = aligned_alloc(PAGE, 48 * MIB);
	char *area = (char *)ALIGN_UP((uintptr_t)mem, 16 * MIB), *middle = area + 16 * MIB;
	struct vfn_nvme_io io;
	struct machine m;

	assert_non_null(mem);
	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_READ);
	map_at(&m, middle - 2 * PAGE, 2 * PAGE, 0x10000000);
	map_at(&m, middle, 2 * PAGE, 0x30000000);
	fill_random(disk(&m), 4 * PAGE, &(uint64_t){ SEED });
	do_io(&m, &io, 0, 32, middle - 2 * PAGE);
	assert_memory_equal(disk(&m), middle - 2 * PAGE, 4 * PAGE);
	unmap(&m, middle);
	unmap(&m, middle - PAGE);

	map_at(&m, area, 32 * MIB, 0x40000000);
	for (uint32_t nlb = 1; nlb < 2000; nlb += 111) {
		fill_random(disk(&m), nlb * 512UL, &(uint64_t){ nlb });
		do_io(&m, &io, 0, nlb < 1024 ? nlb : 1024, middle - 3 * 512);
		assert_memory_equal(disk(&m), middle - 3 * 512, (nlb < 1024 ? nlb : 1024) * 512UL);
	}
	unmap(&m, area);
	stop(&m);
	free(mem);
}

static void memory_that_devices_may_only_read_is_written_to_the_disk(void **state)
{
	char *pages = new_pages(2 * PAGE);
	struct vfn_nvme_io io;
	struct machine m;
	iova_t iova;

	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_WRITE);
	fill_random(pages, 2 * PAGE, &(uint64_t){ SEED });
	assert_int_equal(iommu_map_vaddr(__iommu_ctx(&m.ctrl), pages, 2 * PAGE, &iova,
					 IOMMU_MAP_NOWRITE),
			 0);
	for (uint32_t nlb = 1; nlb <= 16; nlb += 15)
		do_io(&m, &io, 0, nlb, pages);
	assert_memory_equal(disk(&m), pages, 2 * PAGE);
	unmap(&m, pages);
	stop(&m);
	free(pages);
}

/* Q9: data in the controller's memory goes where the controller takes it only */
static void data_in_controller_memory_is_checked(void **state)
{
	const struct emu_nvme_opts opts = { .cmb = { .size = MIB } };
	struct vfn_nvme_io io;
	struct iommu_dmabuf mem;
	struct machine m;

	start_pair(&m, &opts, 8);
	io = prepare(&m, OP_READ);
	assert_int_equal(nvme_configure_cmb(&m.ctrl), 0);
	assert_int_equal(vfn_nvme_cmb_alloc(&m.ctrl, &mem, 4 * PAGE), 0);
	fill_random(disk(&m), 2 * PAGE, &(uint64_t){ SEED });
	for (uint32_t nlb = 1; nlb <= 16; nlb += 15) {
		do_io(&m, &io, 0, nlb, mem.vaddr);
		assert_memory_equal(mem.vaddr, disk(&m), nlb * 512UL);
	}
	vfn_nvme_cmb_free(&m.ctrl, &mem);
	stop(&m);
}

static void status_and_result_come_with_the_context(void **state)
{
	struct vfn_nvme_done done;
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_READ);
	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_STATUS,
				       .qid = 1,
				       .opcode = OP_READ,
				       .status = STATUS_INVALID_FIELD,
			       });
	assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, &m), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, &done, 1), 1);
	assert_ptr_equal(done.opaque, &m);
	assert_false(nvme_cqe_ok(&done.cqe));
	assert_int_equal(le16_to_cpu(done.cqe.sfp) >> 1, STATUS_INVALID_FIELD);
	assert_int_equal(le16_to_cpu(done.cqe.sqid), 1);
	stop(&m);
}

/* Q3, Q4, W21: one more completion, and one of a command that nobody sent */
static void completions_of_nobody_are_dropped(void **state)
{
	struct vfn_nvme_done done[4];
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_READ);
	add_fault(&m, EMU_DUPLICATE, 1, OP_READ);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, (void *)i), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 4), 2);
	assert_int_equal((uintptr_t)done[0].opaque, 0);
	assert_int_equal((uintptr_t)done[1].opaque, 1);
	assert_int_equal(free_requests(m.sq), 7);
	assert_int_equal(vfn_nvme_strays(&m.ctrl), 1);

	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_CORRUPT,
				       .qid = 1,
				       .opcode = OP_READ,
				       .fields = EMU_CQE_CID,
				       .cid = 7,
			       });
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, (void *)i), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 4), 1);
	assert_int_equal((uintptr_t)done[0].opaque, 1);
	assert_int_equal(free_requests(m.sq), 6);
	assert_int_equal(vfn_nvme_strays(&m.ctrl), 2);
	stop(&m);
}

/* Q8, W23 */
static void late_completion_of_a_released_request_is_dropped(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct vfn_nvme_done done[4];
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	vfn_nvme_set_timeout(&m.ctrl, 50);
	io = prepare(&m, OP_READ);
	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_DELAY,
				       .qid = 1,
				       .opcode = OP_FLUSH,
				       .delay_ns = 200 * MS,
			       });
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ETIMEDOUT);
	assert_int_equal(free_requests(m.sq), 6);
	emu_advance(300 * MS);
	assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, &m), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 4), 1);
	assert_ptr_equal(done[0].opaque, &m);
	assert_int_equal(free_requests(m.sq), 7);
	stop(&m);
}

static void completion_queue_of_two_serves_both(void **state)
{
	struct vfn_nvme_done done[16];
	struct vfn_nvme_io io;
	struct machine m;
	struct nvme_sq *other;
	int of_other = 0;

	start_pair(&m, NULL, 16);
	assert_int_equal(nvme_create_iosq(&m.ctrl, 2, 8, m.cq, 0), 0);
	other = &m.ctrl.sq[2];
	io = prepare(&m, OP_READ);
	for (int i = 0; i < 6; i++) {
		struct nvme_sq *sq = i % 2 ? other : m.sq;

		assert_int_equal(vfn_nvme_io_submit(sq, &io, 0, 1, m.buf.vaddr, sq), 0);
		nvme_sq_update_tail(sq);
	}
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 16), 6);
	for (int i = 0; i < 6; i++)
		of_other += done[i].opaque == other;
	assert_int_equal(of_other, 3);
	assert_int_equal(free_requests(m.sq), 15);
	assert_int_equal(free_requests(other), 7);
	stop(&m);
}

static void the_other_calls_may_be_mixed_in(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct vfn_nvme_done done[4];
	struct vfn_nvme_io io;
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_READ);
	do_io(&m, &io, 0, 1, m.buf.vaddr);
	rq = nvme_rq_acquire(m.sq);
	assert_null(rq->opaque);
	rq->opaque = &cmd;
	nvme_rq_post(rq, &cmd);
	assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, &io), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 4), 2);
	assert_ptr_equal(done[0].opaque, &cmd);
	assert_ptr_equal(done[1].opaque, &io);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), 0);
	stop(&m);
}

static void fields_of_the_template_are_in_every_command(void **state)
{
	struct nvme_cmd_rw *rw;
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	io = prepare(&m, OP_WRITE);
	io.cmd.rw.control = cpu_to_le16(1 << 14);
	io.cmd.rw.dsm = cpu_to_le32(0x55);
	io.cmd.rw.cdw2 = cpu_to_le32(0x22);
	io.cmd.rw.cdw3 = cpu_to_le32(0x33);
	io.cmd.rw.reftag = cpu_to_le32(0x66);
	io.cmd.rw.apptag = cpu_to_le16(0x77);
	io.cmd.rw.appmask = cpu_to_le16(0x88);
	/* but not what comes with each */
	io.cmd.rw.cid = 9;
	io.cmd.rw.mptr = cpu_to_le64(0x1000);
	io.cmd.rw.dptr.prp2 = cpu_to_le64(0x2000);
	io.cmd.rw.slba = cpu_to_le64(7);
	io.cmd.rw.nlb = cpu_to_le16(3);
	rw = m.sq->mem.vaddr;
	memset(rw, 0xff, sizeof(*rw));
	assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0x123456789aULL, 8, m.buf.vaddr, NULL), 0);
	assert_int_equal(rw->opcode, OP_WRITE);
	assert_int_equal(rw->flags, 0);
	assert_int_equal(rw->cid, 0);
	assert_int_equal(le32_to_cpu(rw->nsid), 1);
	assert_int_equal(le32_to_cpu(rw->cdw2), 0x22);
	assert_int_equal(le32_to_cpu(rw->cdw3), 0x33);
	assert_int_equal(le64_to_cpu(rw->mptr), 0);
	assert_int_equal(le64_to_cpu(rw->slba), 0x123456789aULL);
	assert_int_equal(le16_to_cpu(rw->nlb), 7);
	assert_int_equal(le16_to_cpu(rw->control), 0x4000);
	assert_int_equal(le32_to_cpu(rw->dsm), 0x55);
	assert_int_equal(le32_to_cpu(rw->reftag), 0x66);
	assert_int_equal(le16_to_cpu(rw->apptag), 0x77);
	assert_int_equal(le16_to_cpu(rw->appmask), 0x88);
	assert_int_equal(le64_to_cpu(rw->dptr.prp2), 0);
	/* never to be seen by the controller */
	m.sq->tail = 0;
	stop(&m);
}

/* W32: a page for a list is pinned when there is one */
static void requests_without_lists_pin_no_pages(void **state)
{
	struct vfn_nvme_done done[1024];
	struct vfn_nvme_io io;
	struct machine m;
	size_t before;

	start(&m, NULL);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 1024, -1, 0), 0);
	m.sq = &m.ctrl.sq[1];
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m.ctrl), &m.buf, BUF_LEN, 0), 0);
	io = prepare(&m, OP_READ);
	before = emu_usage().dma_bytes;
	for (int i = 0; i < 1023; i++)
		assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 16, m.buf.vaddr, NULL), 0);
	assert_in_range(emu_usage().dma_bytes, before, before + MIB);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 1024), 1023);
	do_io(&m, &io, 0, 256, m.buf.vaddr);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(data_of_any_size_at_any_place_is_transferred),
		test(nothing_reaches_the_controller_before_a_poll),
		test(head_doorbell_waits_for_a_quarter_of_the_queue),
		test(poll_takes_no_more_than_there_is_room_for),
		test(full_queue_is_busy_until_a_poll),
		test(every_command_of_a_small_queue_completes_once),
		test(bad_arguments_submit_nothing),
		test(prep_refuses_what_cannot_be),
		test(memory_that_is_unmapped_or_moves_is_looked_up_anew),
		test(memory_far_apart_takes_blocks_of_every_size),
		test(memory_at_the_start_of_a_table_is_found),
		test(data_in_several_mappings_is_transferred),
		test(memory_that_devices_may_only_read_is_written_to_the_disk),
		test(data_in_controller_memory_is_checked),
		test(status_and_result_come_with_the_context),
		test(completions_of_nobody_are_dropped),
		test(late_completion_of_a_released_request_is_dropped),
		test(completion_queue_of_two_serves_both),
		test(the_other_calls_may_be_mixed_in),
		test(fields_of_the_template_are_in_every_command),
		test(requests_without_lists_pin_no_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
