/// Calls of the server's functions: over the socket where there is one, otherwise over HTTP.
extension RealtimeClient {
  struct WaitingCall {
    var name: String
    /// When it has taken too long.
    var due: Int64
    var continuation: CheckedContinuation<JSONText, any Error>
  }

  /// The socket was lost before the answer; what was asked for may have happened.
  private struct SocketLost: Error {}

  /// Calls any function of the server: over the socket, or over HTTP while there is none or when it is lost before the
  /// answer. All functions may be called twice: they say how it is, or name what they make.
  ///
  /// More than 64 KiB of data always go over HTTP: the server ends a connection that brings too much at once.
  ///
  /// - `timeout`: for all of it, whatever ways it takes; a day at most.
  ///
  /// Throws ``ClientError``; `disconnected` when another user was connected before it could be made as this one.
  /// `CancellationError` when the task is cancelled.
  public func call(_ name: String, _ data: JSONText = .emptyObject, timeout: Duration? = nil) async throws -> JSONText {
    try await call(name, data, as: userID, timeout: timeout)
  }

  /// Of that user and of nobody else, whoever is connected meanwhile.
  func call(_ name: String, _ data: JSONText, as user: String?, timeout: Duration? = nil) async throws -> JSONText {
    try check(user)
    let due = due(timeout ?? options.callTimeout)
    if isDuplex, data.bytes.count <= ClientLimits.socketCallBytesMax {
      do {
        return try await callOverSocket(name, data, due: due)
      } catch is SocketLost {
        // Over HTTP, then; unless it was lost to another user.
        try check(user)
      }
    }
    return try await callOverHTTP(name, data, as: user, due: due)
  }

  private func due(_ timeout: Duration) -> Int64 { clock.now + timeout.waitMilliseconds }

  /// Over the socket alone: what is said of the connection itself.
  func callOverSocket(_ name: String, _ data: JSONText, timeout: Duration) async throws -> JSONText {
    try await callOverSocket(name, data, due: due(timeout))
  }

  private func callOverSocket(_ name: String, _ data: JSONText, due: Int64) async throws -> JSONText {
    try Task.checkCancellation()
    let given = CallNumber()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        guard isDuplex, let link else { return continuation.resume(throwing: SocketLost()) }
        guard let number = calls.add(WaitingCall(name: name, due: due, continuation: continuation)) else {
          return continuation.resume(
            throwing: ClientError.unreachable("\(ClientLimits.callsMax) calls wait for an answer already"))
        }
        if given.set(number) { tell(.callGivenUp(number)) }
        link.send(.call(id: number, name: name, data: data))
        // Its answer lies behind what is not read.
        holdBack()
        schedule()
      }
    } onCancel: {
      if let number = given.cancel() { tell(.callGivenUp(number)) }
    }
  }

  private func check(_ user: String?) throws(ClientError) {
    guard !isShutDown else { throw .misused("the client was shut down") }
    guard user == userID else { throw .disconnected(.client) }
  }

  /// The tokens are those of the user of this moment, and no others are used.
  private func callOverHTTP(
    _ name: String, _ data: JSONText, as user: String?, due: Int64
  ) async throws -> JSONText {
    guard let tokens else { throw ClientError.misused("connect(userID:token:) comes first") }
    // The last one will do until it is refused.
    let token = if let lastToken { lastToken } else { try await freshToken(tokens, of: user, force: false, due) }
    do {
      return try await callOverHTTP(name, data, token, due)
    } catch ClientError.refused(let error) where error.code == .unauthenticated && tokens.isRefreshable {
      return try await callOverHTTP(name, data, try await freshToken(tokens, of: user, force: true, due), due)
    }
  }

  private func callOverHTTP(_ name: String, _ data: JSONText, _ token: String, _ due: Int64) async throws -> JSONText {
    let left = due - clock.now
    guard left > 0 else { throw ClientError.timedOut("\(name) was not answered in time") }
    return try await CallableClient(http, credential: token).call(name, data, timeout: .milliseconds(left))
  }

  private func freshToken(_ source: TokenSource, of user: String?, force: Bool, _ due: Int64) async throws -> String {
    let late = ClientError.unreachable("no token came in time")
    let token: String?
    do {
      token = try await inTime(due, clock, orThrow: late) { try await source.get(forceRefresh: force) }
    } catch  where Task.isCancelled {
      throw CancellationError()
    } catch let error as ClientError where error == late {
      throw error
    } catch {
      throw ClientError.unreachable("no token could be had: \(error)")
    }
    guard let token else { throw ClientError.refused(CallError(.unauthenticated, "nobody is signed in")) }
    // Somebody else may have been connected meanwhile.
    if user == userID { lastToken = token }
    return token
  }

  // MARK: What becomes of calls

  func takeAnswer(_ id: JSONText, _ result: Result<JSONText, CallError>) {
    calls.take(id)?.continuation.resume(with: result.mapError { ClientError.refused($0) })
    holdBack()
  }

  func giveUp(_ number: Int) {
    calls.take(number: number)?.continuation.resume(throwing: CancellationError())
    holdBack()
  }

  func expireCalls(_ now: Int64) {
    for call in calls.take(where: { $0.due <= now }) {
      call.continuation.resume(throwing: ClientError.timedOut("\(call.name) was not answered in time"))
    }
    holdBack()
  }

  /// The socket is gone.
  func loseCalls() {
    for call in calls.takeAll() { call.continuation.resume(throwing: SocketLost()) }
  }
}
