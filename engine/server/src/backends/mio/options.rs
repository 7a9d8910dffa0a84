//! Socket options of the kernel's TCP, under the engine's names.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use bywash_core::tcp::socket_options::{Linger, OptionError, OptionName, SocketOption, Switch};

/// Sets an option; the kernel judges the value.
pub(super) fn set(socket: &SockRef<'_>, option: SocketOption) -> Result<(), OptionError> {
    let seconds = |value: u16| Duration::from_secs(value.into());
    let is_on = |switch: Switch| switch == Switch::On;
    let set = match option {
        SocketOption::TcpNodelay(switch) => socket.set_tcp_nodelay(is_on(switch)),
        SocketOption::TcpCork(switch) => socket.set_tcp_cork(is_on(switch)),
        SocketOption::TcpQuickack(switch) => socket.set_tcp_quickack(is_on(switch)),
        SocketOption::TcpMaxseg(octets) => socket.set_tcp_mss(octets.into()),
        SocketOption::TcpUserTimeout(ms) => {
            socket.set_tcp_user_timeout(Some(Duration::from_millis(ms.into())))
        }
        SocketOption::SoKeepalive(switch) => socket.set_keepalive(is_on(switch)),
        SocketOption::TcpKeepidle(value) => keep(socket, |keepalive| keepalive.with_time(seconds(value))),
        SocketOption::TcpKeepintvl(value) => {
            keep(socket, |keepalive| keepalive.with_interval(seconds(value)))
        }
        SocketOption::TcpKeepcnt(count) => keep(socket, |keepalive| keepalive.with_retries(count.into())),
        SocketOption::SoLinger(Linger::Off) => socket.set_linger(None),
        SocketOption::SoLinger(Linger::Seconds(value)) => socket.set_linger(Some(seconds(value))),
        SocketOption::SoRcvbuf(octets) => socket.set_recv_buffer_size(octets as usize),
        SocketOption::SoSndbuf(octets) => socket.set_send_buffer_size(octets as usize),
        SocketOption::TcpNotsentLowat(octets) => socket.set_tcp_notsent_lowat(octets),
        SocketOption::TcpCongestion(algorithm) => socket.set_tcp_congestion(algorithm.name().as_bytes()),
        SocketOption::TcpSyncnt(_) | SocketOption::TcpLinger2(_) => {
            return Err(OptionError::Unsupported { option: option.name() });
        }
    };
    set.map_err(|_| OptionError::Refused { option: option.name() })
}

/// Sets one value of keepalive; that alone does not turn it on or off.
fn keep(socket: &SockRef<'_>, with: impl FnOnce(TcpKeepalive) -> TcpKeepalive) -> io::Result<()> {
    let was_on = socket.keepalive()?;
    socket.set_tcp_keepalive(&with(TcpKeepalive::new()))?;
    socket.set_keepalive(was_on)
}

/// What the kernel says of an option. Its buffers are twice what was asked for.
pub(super) fn get(socket: &SockRef<'_>, option: OptionName) -> Result<SocketOption, OptionError> {
    let seconds = |value: Duration| value.as_secs().min(u16::MAX.into()) as u16;
    let got = match option {
        OptionName::TcpNodelay => socket.tcp_nodelay().map(|on| SocketOption::TcpNodelay(on.into())),
        OptionName::TcpCork => socket.tcp_cork().map(|on| SocketOption::TcpCork(on.into())),
        OptionName::TcpQuickack => socket.tcp_quickack().map(|on| SocketOption::TcpQuickack(on.into())),
        OptionName::TcpMaxseg => {
            socket.tcp_mss().map(|mss| SocketOption::TcpMaxseg(mss.min(u16::MAX.into()) as u16))
        }
        OptionName::TcpUserTimeout => {
            let ms = |timeout: Option<Duration>| timeout.unwrap_or_default().as_millis() as u32;
            socket.tcp_user_timeout().map(|timeout| SocketOption::TcpUserTimeout(ms(timeout)))
        }
        OptionName::SoKeepalive => socket.keepalive().map(|on| SocketOption::SoKeepalive(on.into())),
        OptionName::TcpKeepidle => {
            socket.tcp_keepalive_time().map(|value| SocketOption::TcpKeepidle(seconds(value)))
        }
        OptionName::TcpKeepintvl => {
            socket.tcp_keepalive_interval().map(|value| SocketOption::TcpKeepintvl(seconds(value)))
        }
        OptionName::TcpKeepcnt => {
            let count = socket.tcp_keepalive_retries();
            count.map(|count| SocketOption::TcpKeepcnt(count.min(u8::MAX.into()) as u8))
        }
        OptionName::SoLinger => socket.linger().map(|linger| {
            SocketOption::SoLinger(linger.map_or(Linger::Off, |value| Linger::Seconds(seconds(value))))
        }),
        OptionName::SoRcvbuf => socket.recv_buffer_size().map(|size| SocketOption::SoRcvbuf(size as u32)),
        OptionName::SoSndbuf => socket.send_buffer_size().map(|size| SocketOption::SoSndbuf(size as u32)),
        OptionName::TcpNotsentLowat => socket.tcp_notsent_lowat().map(SocketOption::TcpNotsentLowat),
        OptionName::TcpCongestion => socket.tcp_congestion().and_then(|name| {
            // Padded with zeros; an algorithm that only the kernel has cannot be said.
            let name = String::from_utf8_lossy(&name);
            let known = name.trim_end_matches('\0').parse().map_err(|_| io::ErrorKind::Unsupported)?;
            Ok(SocketOption::TcpCongestion(known))
        }),
        OptionName::TcpSyncnt | OptionName::TcpLinger2 => return Err(OptionError::Unsupported { option }),
    };
    got.map_err(|_| OptionError::Refused { option })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_and_values_of_keepalive_do_not_turn_it_on() {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let socket = SockRef::from(&socket);
        let options = [
            SocketOption::TcpNodelay(Switch::On),
            SocketOption::TcpKeepidle(33),
            SocketOption::TcpKeepintvl(44),
            SocketOption::TcpKeepcnt(5),
            SocketOption::SoKeepalive(Switch::Off),
            SocketOption::TcpUserTimeout(1_234),
            SocketOption::SoLinger(Linger::Seconds(7)),
            SocketOption::SoLinger(Linger::Off),
            SocketOption::TcpNotsentLowat(16_384),
        ];
        for option in options {
            set(&socket, option).expect("the kernel has it");
            assert_eq!(get(&socket, option.name()), Ok(option));
        }
        let unknown = SocketOption::TcpSyncnt(3);
        assert_eq!(set(&socket, unknown), Err(OptionError::Unsupported { option: OptionName::TcpSyncnt }));
    }
}
