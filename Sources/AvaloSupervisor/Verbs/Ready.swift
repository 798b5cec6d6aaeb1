import AvaloSystem
import Glibc

// Ready: what the service manager above us, and who looks at /readyz, are told of the whole.
extension Supervisor {
  /// Required instances that do not serve now, with what they do instead.
  var missing: [String] {
    let absent = serving.filter { $0.manifest.required && !$0.state.isUp }.map(describe)
    let closed = configuration.workers.filter(\.required).compactMap { worker in
      closedPlaces[worker.name].map { "\(worker.name) drained (\($0.count) of \(worker.instances))" }
    }
    return absent + closed
  }

  /// `gateway.1 waiting 2s after signal KILL`.
  private func describe(_ instance: Instance) -> String {
    guard instance.state.phase == .waiting, let due = instance.state.deadline else {
      return "\(instance.id) \(instance.state.phase)"
    }
    let left = max(.zero, due - clock.now)
    let seconds = Int(left.inSeconds.rounded(.up))
    return "\(instance.id) waiting \(seconds)s after \(instance.lastEnding?.description ?? "a failed start")"
  }

  var isReady: Bool { phase == .running && missing.isEmpty }

  /// Says READY upward the first time that all required workers serve; afterwards a change of the line.
  func announce() {
    let serving = serving
    if phase == .starting, serving.count == configuration.workers.reduce(0, { $0 + $1.instances }), missing.isEmpty {
      phase = .running
      notifier.ready(status: statusLine)
      log.notice("ready", metadata: ["workers": "\(serving.count)", "seconds": "\((clock.now - bornAt).rounded)"])
    }
    sendStatus()
  }

  /// The proof that this loop turns: whatever our workers do, it is sent.
  func beatUpward() {
    guard let interval = notifier.watchdogInterval else { return }
    notifier.watchdog()
    loop.schedule(at: clock.now + interval / 2) { [weak self] in self?.assumeIsolated { $0.beatUpward() } }
  }

  // MARK: The STATUS line

  /// `3 workers, 10 412 connections, 1 203 events/s`; with what is wrong, if anything is.
  var statusLine: String {
    let serving = serving
    let closed = closedPlaces.sorted { $0.key < $1.key }.map { "\($0.key) drained (\($0.value.count))" }
    return StatusLine.text(
      phase, up: serving.count { $0.state.isUp }, running: instances.values.count { $0.state.hasProcess },
      of: serving.count, missing: serving.filter { !$0.state.isUp }.map(describe) + closed,
      leaving: instances.values.count { $0.role == .leaving },
      series: configuration.workers.flatMap(\.status).map { ($0, statusSeries[$0.series]) }, said: said)
  }

  /// What workers say of themselves, those that the line shows: the first instance of each that serves speaks for all.
  private var said: [String] {
    configuration.workers.filter(\.showStatus).compactMap { worker in
      serving.first { $0.id.worker == worker.name && $0.state.isUp && $0.status?.isEmpty == false }?.status
    }
  }

  private func sendStatus() {
    guard phase != .starting || !instances.isEmpty, notifier.isActive else { return }
    let now = clock.now
    if let lastStatus, now - lastStatus.at < SupervisorLimits.statusSpacing {
      guard !statusIsDue else { return }
      statusIsDue = true
      loop.schedule(at: lastStatus.at + SupervisorLimits.statusSpacing) { [weak self] in
        self?.assumeIsolated {
          $0.statusIsDue = false
          $0.sendStatus()
        }
      }
      return
    }
    let line = statusLine
    if line == lastStatus?.line { return }
    lastStatus = (line, now)
    notifier.status(line)
  }

  /// Looks at the series of the STATUS line now and then.
  func sampleStatus() {
    guard phase != .stopping else { return }
    // Ends by itself, within the scrape's timeout.
    Task {
      await self.readStatusSeries()
      self.sendStatus()
      self.loop.schedule(at: self.clock.now + SupervisorLimits.statusInterval) { [weak self] in
        self?.assumeIsolated { $0.sampleStatus() }
      }
    }
  }

  private func readStatusSeries() async {
    let wanted = configuration.workers.filter { !$0.status.isEmpty && $0.metrics }
    guard !wanted.isEmpty else { return }
    let pages = await scrape(workers: wanted.map(\.name))
    // The workers may have changed meanwhile: a series nobody wants any more is simply not read again.
    let now = clock.now
    for series in wanted.flatMap(\.status) {
      var sum = 0.0
      var isThere = false
      for case .success(let page) in pages.map(\.result) {
        guard let value = page.sum(of: series.series) else { continue }
        sum += value
        isThere = true
      }
      guard isThere else {
        statusSeries[series.series] = nil
        continue
      }
      statusSeries[series.series] = SeriesSum(value: sum, at: now, before: statusSeries[series.series])
    }
  }
}

extension Duration {
  /// Seconds with three places, for people.
  var rounded: Double { (inSeconds * 1000).rounded() / 1000 }
}
