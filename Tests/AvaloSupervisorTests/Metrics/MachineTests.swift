import AvaloTesting
import Testing

@testable import AvaloSupervisor

@Suite struct MachineTests {
  let folder = TestFolder()

  init() throws {
    try folder.write("MemTotal:       2000 kB\nMemFree:         100 kB\nMemAvailable:    500 kB\n", to: "proc/meminfo")
  }

  @Test func isTheMachinesWithoutABound() throws {
    try folder.write("0::/system.slice/avalod.service\n", to: "proc/self/cgroup")
    try folder.write("max\n", to: "sys/fs/cgroup/system.slice/avalod.service/memory.max")
    try folder.write("7\n", to: "sys/fs/cgroup/system.slice/avalod.service/memory.current")
    let use = try #require(MemoryUse(root: folder.path))
    #expect(use.limitBytes == 2000 * 1024)
    #expect(use.usedBytes == 1500 * 1024)
  }

  @Test func isTheTightestGroupAroundUs() throws {
    try folder.write("0::/a/b\n", to: "proc/self/cgroup")
    try folder.write("max\n", to: "sys/fs/cgroup/a/b/memory.max")
    try folder.write("1000000\n", to: "sys/fs/cgroup/a/memory.max")
    try folder.write("900000\n", to: "sys/fs/cgroup/a/memory.current")
    try folder.write("anon 1\ninactive_file 300000\n", to: "sys/fs/cgroup/a/memory.stat")
    let use = try #require(MemoryUse(root: folder.path))
    #expect(use.limitBytes == 1_000_000)
    #expect(use.usedBytes == 600_000)
  }

  @Test func readsTheFirstVersionOfCgroupsToo() throws {
    try folder.write("9:cpu:/x\n5:memory:/x\n0::/\n", to: "proc/self/cgroup")
    try folder.write("500000\n", to: "sys/fs/cgroup/memory/x/memory.limit_in_bytes")
    try folder.write("400000\n", to: "sys/fs/cgroup/memory/x/memory.usage_in_bytes")
    try folder.write("total_inactive_file 100000\n", to: "sys/fs/cgroup/memory/x/memory.stat")
    // Without a bound, this is near the largest number.
    try folder.write("9223372036854771712\n", to: "sys/fs/cgroup/memory/memory.limit_in_bytes")
    try folder.write("400000\n", to: "sys/fs/cgroup/memory/memory.usage_in_bytes")
    let use = try #require(MemoryUse(root: folder.path))
    #expect(use.limitBytes == 500_000)
    #expect(use.usedBytes == 300_000)
  }

  @Test func worksOnThisMachine() throws {
    let use = try #require(MemoryUse())
    #expect(use.limitBytes > 0)
    #expect(use.usedBytes > 0)
    #expect(use.usedBytes <= use.limitBytes)
  }

  @Test func knowsTheRoomOfAFileSystem() throws {
    let space = try #require(DiskSpace(of: folder.path))
    #expect(space.sizeBytes > 0)
    #expect(space.availableBytes <= space.sizeBytes)
    #expect(DiskSpace(of: folder.path + "/nowhere") == nil)
  }
}
