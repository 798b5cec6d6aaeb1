import AvaloSystem
import Glibc
import Logging

// Every series of avalod's own, and the page that puts all workers' beside them. The state is the truth: the page is
// made from it when it is asked for, and nothing is counted twice.
extension Supervisor {
  func metricsPage() async -> [UInt8] {
    let pages = await scrape()
    var page = Exposition()
    addSupervisor(to: &page)
    addInstances(to: &page)
    addGenerations(to: &page)
    addScrapes(pages, to: &page)
    return await merged(page, pages)
  }

  /// Not on the loop: workers' pages may be megabytes.
  @concurrent private nonisolated func merged(_ own: Exposition, _ pages: [ScrapedPage]) async -> [UInt8] {
    var page = own
    for scraped in pages {
      guard case .success(let theirs) = scraped.result else { continue }
      let refused = page.merge(theirs, labels: ["worker": scraped.id.worker, "slot": "\(scraped.id.slot)"])
      guard !refused.isEmpty else { continue }
      log.warning(
        "worker's metrics have another type than before",
        metadata: ["worker": "\(scraped.id)", "series": "\(refused.joined(separator: " "))"])
    }
    return page.page()
  }

  private func addSupervisor(to page: inout Exposition) {
    page.declare("avalo_build_info", "gauge", "The version that runs; always 1.")
    page.add("avalo_build_info", ["version": Version.current], 1)
    page.declare("avalo_ready", "gauge", "Whether all required workers serve.")
    page.add("avalo_ready", [:], isReady ? 1 : 0)
    page.declare("avalo_reload_total", "counter", "Reloads by result.")
    for result in ["success", "failure"] {
      page.add("avalo_reload_total", ["result": result], Double(reloads[result] ?? 0))
    }
    page.declare(
      "avalo_reload_last_success", "gauge", "Whether the last reload succeeded; 1 before the first.")
    page.add("avalo_reload_last_success", [:], lastReload?.result.isSuccess == false ? 0 : 1)
    page.declare(
      "avalo_config_generation", "gauge", "Counts the configurations that were in force since avalod was started.")
    page.add("avalo_config_generation", [:], Double(generation))

    if let memory = MemoryUse() {
      page.declare("avalo_memory_limit_bytes", "gauge", "The cgroup's memory limit, or the machine's memory.")
      page.add("avalo_memory_limit_bytes", [:], memory.limitBytes)
      page.declare("avalo_memory_used_bytes", "gauge", "Memory in use within that limit, without reclaimable cache.")
      page.add("avalo_memory_used_bytes", [:], memory.usedBytes)
    }
    if let disk = DiskSpace(of: configuration.stateDirectory) {
      page.declare("avalo_state_disk_size_bytes", "gauge", "Size of the file system that the state directory is on.")
      page.add("avalo_state_disk_size_bytes", [:], disk.sizeBytes)
      page.declare("avalo_state_disk_available_bytes", "gauge", "What of it is left for avalod and its workers.")
      page.add("avalo_state_disk_available_bytes", [:], disk.availableBytes)
    }
    guard let own = ProcessStatistics.own else { return }
    page.declare("process_resident_memory_bytes", "gauge", "Resident memory of the process; without labels, avalod's.")
    page.add("process_resident_memory_bytes", [:], Double(own.residentBytes))
    page.declare(
      "process_cpu_seconds_total", "counter", "User and system time of the process; without labels, avalod's.")
    page.add("process_cpu_seconds_total", [:], own.cpuSeconds)
    page.declare("process_open_fds", "gauge", "Open descriptors of the process; without labels, avalod's.")
    page.add("process_open_fds", [:], Double(own.openDescriptors))
    if let most = own.maxDescriptors {
      page.declare("process_max_fds", "gauge", "The most descriptors the process may have; without labels, avalod's.")
      page.add("process_max_fds", [:], Double(most))
    }
    page.declare(
      "process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970; without labels, avalod's.")
    page.add("process_start_time_seconds", [:], own.startTimeSeconds)
  }

  private func addInstances(to page: inout Exposition) {
    page.declare("avalo_worker_up", "gauge", "Whether the instance serves.")
    page.declare("avalo_worker_required", "gauge", "Whether the service is ready only with it.")
    page.declare("avalo_worker_throttled", "gauge", "Whether the instance waits before it is started again.")
    page.declare(
      "avalo_worker_restarts_total", "counter", "Times the instance was started again, by why its process ended.")
    page.declare("avalo_worker_ready_seconds", "gauge", "From the process's start to READY, the last time.")
    page.declare("avalo_worker_resident_memory_bytes", "gauge", "Resident memory of the instance's process.")
    page.declare("avalo_worker_cpu_seconds_total", "counter", "User and system time of the instance's process.")
    page.declare("avalo_worker_open_fds", "gauge", "Open descriptors of the instance's process.")
    page.declare("avalo_worker_max_fds", "gauge", "The most descriptors the instance's process may have.")
    page.declare("avalo_worker_threads", "gauge", "Threads of the instance's process.")
    page.declare(
      "avalo_worker_start_time_seconds", "gauge", "When the instance's process was started, in seconds since 1970.")
    for instance in ordered {
      let (worker, slot) = (instance.id.worker, "\(instance.id.slot)")
      // What comes and what leaves is not what the service misses.
      if instance.role == .serving {
        page.add("avalo_worker_up", ["worker": worker, "slot": slot], instance.state.isUp ? 1 : 0)
        page.add("avalo_worker_required", ["worker": worker, "slot": slot], instance.manifest.required ? 1 : 0)
        page.add("avalo_worker_throttled", ["worker": worker, "slot": slot], instance.state.phase == .waiting ? 1 : 0)
      }
      for reason in RestartReason.allCases {
        page.add(
          "avalo_worker_restarts_total", ["worker": worker, "slot": slot, "reason": reason.rawValue],
          Double(instance.restarts[reason] ?? 0))
      }
      if let time = instance.readyAfter {
        page.add("avalo_worker_ready_seconds", ["worker": worker, "slot": slot], time.inSeconds)
      }
      guard let process = instance.process, let statistics = ProcessStatistics(of: process.pid) else { continue }
      page.add(
        "avalo_worker_resident_memory_bytes", ["worker": worker, "slot": slot], Double(statistics.residentBytes))
      page.add("avalo_worker_cpu_seconds_total", ["worker": worker, "slot": slot], statistics.cpuSeconds)
      page.add("avalo_worker_open_fds", ["worker": worker, "slot": slot], Double(statistics.openDescriptors))
      if let most = statistics.maxDescriptors {
        page.add("avalo_worker_max_fds", ["worker": worker, "slot": slot], Double(most))
      }
      page.add("avalo_worker_threads", ["worker": worker, "slot": slot], Double(statistics.threads))
      page.add("avalo_worker_start_time_seconds", ["worker": worker, "slot": slot], statistics.startTimeSeconds)
    }
  }

  private func addGenerations(to page: inout Exposition) {
    page.declare(
      "avalo_worker_leaving", "gauge", "Instances that send their clients on: of an earlier generation, or taken away.")
    page.declare(
      "avalo_worker_outdated", "gauge", "Instances whose program or manifest is no longer what would be started.")
    page.declare(
      "avalo_worker_replacements_total", "counter", "New generations: success took over, failure did not become ready.")
    for worker in configuration.workers {
      page.add("avalo_worker_leaving", ["worker": worker.name], Double(leaving(worker.name).count))
      page.add("avalo_worker_outdated", ["worker": worker.name], Double(serving(worker.name).count { $0.isOutdated }))
      let (success, failure) = replacements[worker.name] ?? (0, 0)
      page.add("avalo_worker_replacements_total", ["worker": worker.name, "result": "success"], Double(success))
      page.add("avalo_worker_replacements_total", ["worker": worker.name, "result": "failure"], Double(failure))
    }
  }

  /// An instance that does not serve was not asked, which is a failure too.
  private func addScrapes(_ pages: [ScrapedPage], to page: inout Exposition) {
    page.declare("avalo_worker_scrape_success", "gauge", "Whether the instance's metrics are on this page.")
    page.declare("avalo_worker_scrape_duration_seconds", "gauge", "How long the instance took to answer.")
    for instance in ordered where instance.manifest.metrics && instance.role == .serving {
      let (worker, slot) = (instance.id.worker, "\(instance.id.slot)")
      let scraped = pages.first { $0.id == instance.id }
      var isSuccess = false
      if case .success = scraped?.result { isSuccess = true }
      page.add("avalo_worker_scrape_success", ["worker": worker, "slot": slot], isSuccess ? 1 : 0)
      guard let scraped else { continue }
      page.add("avalo_worker_scrape_duration_seconds", ["worker": worker, "slot": slot], scraped.seconds)
    }
  }
}
