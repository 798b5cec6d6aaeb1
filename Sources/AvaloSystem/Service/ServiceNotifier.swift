import CSystemd
import Glibc

/// Tells the service manager above us (systemd, or avalod for a worker) how we are, by sd_notify(3). Does nothing when
/// nobody listens. Safe from any thread; a message is one datagram and may be lost only with its receiver.
public struct ServiceNotifier: Sendable {
  /// Whether somebody listens: NOTIFY_SOCKET was set.
  public let isActive: Bool
  /// `WATCHDOG=1` must arrive at least this often; `nil` when nobody waits for it (sd_watchdog_enabled(3)).
  public let watchdogInterval: Duration?
  private let clock: MonotonicClock
  private let socket: NotifySocket?

  /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of the process.
  public init(clock: MonotonicClock = .system) {
    self.clock = clock
    let address = getenv("NOTIFY_SOCKET").map { String(cString: $0) }
    isActive = address != nil
    socket = address.flatMap { NotifySocket($0) }
    var microseconds: UInt64 = 0
    watchdogInterval =
      isActive && sd_watchdog_enabled(0, &microseconds) > 0 ? .microseconds(Int64(clamping: microseconds)) : nil
  }

  /// Started, or done reloading.
  public func ready(status: String? = nil) { send(["READY=1"] + lines(status)) }
  /// One line for people.
  public func status(_ text: String) { send(lines(text)) }
  /// The main loop turns.
  public func watchdog() { send(["WATCHDOG=1"]) }
  /// Going down.
  public func stopping(status: String? = nil) { send(["STOPPING=1"] + lines(status)) }
  /// Reading the configuration again; ends with ``ready(status:)``.
  public func reloading() {
    send(["RELOADING=1", "MONOTONIC_USEC=\(clock.now.nanoseconds / 1000)"])
  }
  /// Starting, reloading or stopping takes longer: another `duration` from now.
  public func extendTimeout(by duration: Duration) {
    send(["EXTEND_TIMEOUT_USEC=\(max(1, duration.nanoseconds / 1000))"])
  }
  public func mainProcess(_ pid: pid_t) { send(["MAINPID=\(pid)"]) }

  /// Gives copies of `descriptors` to the service manager, which hands them to the next run of this service as inherited
  /// sockets of that name. `false` when there is nobody to keep them.
  @discardableResult
  public func store(_ descriptors: [Int32], name: String) -> Bool {
    precondition(ServiceNotifier.isDescriptorName(name), "descriptor name \"\(name)\"")
    guard isActive, !descriptors.isEmpty else { return false }
    return sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=\(name)", descriptors, UInt32(descriptors.count)) > 0
  }
  /// Drops everything stored under `name`.
  public func forget(name: String) {
    precondition(ServiceNotifier.isDescriptorName(name), "descriptor name \"\(name)\"")
    send(["FDSTOREREMOVE=1", "FDNAME=\(name)"])
  }

  /// Sends `NAME=value` lines as one message; `false` when nobody listens or the message could not be sent.
  @discardableResult
  public func send(_ lines: [String]) -> Bool {
    guard isActive else { return false }
    let message = lines.joined(separator: "\n")
    // Without it, or when its other end was made anew, libsystemd looks again.
    return socket?.send(message) == true || sd_notify(0, message) > 0
  }

  /// ASCII without control characters and `:`, at most 255 bytes (sd_pid_notify_with_fds(3)).
  public static func isDescriptorName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= SystemLimits.descriptorNameBytesMax
      && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
  }

  /// A line break would start another variable.
  private func lines(_ status: String?) -> [String] {
    status.map { ["STATUS=" + $0.split(whereSeparator: \.isNewline).joined(separator: " ")] } ?? []
  }
}
