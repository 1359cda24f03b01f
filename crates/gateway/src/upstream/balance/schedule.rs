//! The order of turns.

/// Spreads each target over the round (smooth weighted round robin), so that a heavy one is not called in a row.
pub fn schedule(weights: &[u32]) -> Box<[u16]> {
    let divisor = weights.iter().copied().filter(|weight| *weight > 0).reduce(gcd).unwrap_or(1);
    let weights: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor)).collect();
    let total: i64 = weights.iter().sum();
    let mut current = vec![0_i64; weights.len()];
    let mut order = Vec::new();
    for _ in 0..total {
        for (value, weight) in current.iter_mut().zip(&weights) {
            *value += weight;
        }
        let Some(best) = (0..current.len()).rev().max_by_key(|index| current[*index]) else { break };
        current[best] -= total;
        order.push(u16::try_from(best).expect("an upstream has at most 256 targets"));
    }
    order.into()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_spread_over_the_round() {
        assert_eq!(*schedule(&[1, 1]), [0, 1]);
        assert_eq!(*schedule(&[50, 50]), [0, 1]);
        assert_eq!(*schedule(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*schedule(&[0, 3]), [1]);
        assert!(schedule(&[0]).is_empty());
    }
}
