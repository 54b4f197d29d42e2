"""Six lines of pseudo-code per method that changes the loss, the data, the model, or nothing.

See `_steps_gradients` for how they are written.
"""

from __future__ import annotations

LOSS_STEPS: dict[str, str] = {
    "unimodal": r"""
        Forward pass: every encoder and its own head, logits $z_m$.
        $\mathcal L = \sum_m \mathrm{CE}(z_m, y)$, or the term of one `modality`.
        Backward pass.
        With late fusion no gradient of one term reaches another modality's weights.
        Make the optimizer's step.
        At test time the fused prediction is the ensemble.
        """,
    "joint": r"""
        Encode every modality: features $h_m$.
        Fuse them: logits $f(x_1, \dots, x_M)$.
        $\mathcal L$: the task's loss of the fused logits.
        Backward pass: $\nabla \mathcal L(\theta)$.
        Clip the gradient's norm where the trainer asks for it.
        Optimizer's step: $\theta \leftarrow \theta - \eta \nabla \mathcal L$ for plain SGD.
        """,
    "joint_unimodal": r"""
        Encode every modality: features $h_m$.
        Fuse them: fused logits and every modality's own logits $z_m$.
        The fused loss $\mathrm{CE}(\text{fused})$.
        $\mathcal L = \mathrm{CE}(\text{fused}) + \text{weight} \sum_m \mathrm{CE}(z_m)$.
        Backward pass.
        Make the optimizer's step.
        """,
    "modality_dropout": r"""
        Draw a number for each modality of each sample.
        Below `probability` the modality is left out.
        The one with the largest number stays in any case.
        The inputs of those left out become zeros.
        Forward pass, loss of the fused logits, backward pass.
        Make the optimizer's step.
        """,
    "gblend": r"""
        Every `super_epoch` epochs, for each loss $\mathcal L_k$ (modalities' and fused):
        train a copy of the model on $\mathcal L_k$ alone for `probe_epochs`.
        $G_k$: what it gained on held-out samples; $O_k$: how much it overfitted more.
        $w_k \propto \max(0, G_k) / O_k^2$, summing to 1.
        In each step: forward pass, $\mathcal L = \sum_k w_k \mathcal L_k$, backward pass.
        Make the optimizer's step.
        """,
    "pmr": r"""
        Before each epoch: prototypes, the mean feature per class and modality.
        Forward pass: fused loss, features $h_m$.
        $\mathrm{sim}_m$: minus the distances of $h_m$ to the prototypes, as logits.
        $s_m$ from $\mathrm{sim}_m$; $\mathrm{slow}_m$ and $\mathrm{fast}_m$ from its ratio to the
            others.
        Add $\alpha \sum_m \mathrm{slow}_m\, \mathrm{CE}(\mathrm{sim}_m, y)$; early also the entropy
            term.
        Backward pass and the optimizer's step.
        """,
    "aug": r"""
        From epoch 1, every `period` epochs: one more embedding for a modality far behind.
        Forward pass of all encoders: features $h_m$.
        For each modality in turn: $z_m$, the sum of its embeddings' logits.
        $\mathrm{CE}(z_m)$; with extra embeddings also the last one's and the others' losses.
        Backward pass; steps of the optimizer and of the classifiers' own.
        Last, the model's fusion learns on the detached features.
        """,
    "mnl": r"""
        Forward pass: fused logits, every modality's own logits $z_m$.
        $\mathrm{CE}(\text{fused}) + \sum_m \mathrm{CE}(z_m)$.
        Margins $\xi_m = z_m[y] - z_m[j]$, $j$ the most probable wrong class.
        $a$ guides $b$ where $\xi_a > \xi_b$ and $p_a[y] > p_b[y]$.
        Add the guidance $-(y + \lambda\, p_a\, (1 - y)) \log q_b$, on average.
        Backward pass and the optimizer's step.
        """,
    "lfm": r"""
        Before each epoch: the weight $a_1$ from the schedule; $a_0 = 1 - a_1$.
        Forward pass: fused logits, every modality's own logits $z_m$.
        Classification: $\mathrm{CE}(\operatorname{mean}_m z_m, y)$.
        Gap: $\mathrm{JS}(p_1, \dots, p_M)$, $p_m = \mathrm{softmax}\, z_m$.
        $\mathcal L = 2\, (a_0\, \mathrm{CE} + a_1\, \mathrm{JS})$.
        Backward pass and the optimizer's step.
        """,
    "sample_valuation": r"""
        After `warmup` epochs, before each epoch: which sets of modalities answer right.
        $\phi_m$: the Shapley value of each modality for each sample.
        $\phi_m < 1$: one to three copies of the sample, the more the smaller $\phi_m$.
        In these copies all other modalities are zeroed.
        Train on samples and copies: forward pass, fused loss, backward pass.
        Make the optimizer's step.
        """,
    "lnln": r"""
        Draw a rate $r_m$ per sample and modality; set that share of the inputs to 0.
        Forward pass of the damaged inputs, through the parts of the fusion.
        Features of the complete inputs, as targets.
        The task's loss $+ \text{completeness} \cdot \mathrm{MSE}(w, 1 - r_{\text{leading}})$
        plus $\text{adversarial} \cdot \mathrm{CE}$ plus $\text{reconstruction} \cdot \mathrm{MSE}$.
        Backward pass and the optimizer's step.
        """,
    "opm": r"""
        Forward pass of the encoders; every modality's logits $z_m$.
        $\rho_m$: the true class' summed probability, divided by the others' mean.
        $q_m = q_{\text{base}}\, (1 + \lambda \tanh(\rho_m - 1))$, at most 1; 0 if $\rho_m \le 1$.
        In a share `execute` of the batches: zero feature $m$ of a sample with probability $q_m$.
        There divide all features by $1 - \vartheta$; fuse; loss of the fused logits.
        Backward pass and the optimizer's step.
        """,
    "mmcosine": r"""
        Forward pass of the encoders: features $h_m$.
        $W_m$: modality $m$'s part of the last layer.
        Normalise every $h_m$ and every row of $W_m$.
        Logits $\sum_m s \cos(W_m, h_m)$.
        Their cross-entropy; backward pass.
        Make the optimizer's step.
        """,
    "umt": r"""
        Before the first epoch: train each encoder alone, the teachers.
        Forward pass: fused loss, features $h_m$.
        Teachers' features $t_m$ of the same batch.
        Add $\text{weight} \sum_m \operatorname{mean}\, (h_m - t_m)^2$.
        Backward pass.
        Make the optimizer's step.
        """,
    "g2d": r"""
        Before the first epoch: train each encoder alone, the teachers.
        Forward pass: fused loss; teachers' features $t_m$, logits $\ell_m$, confidences $\rho_m$.
        Add $\alpha \sum_m \operatorname{mean}\, (h_m - t_m)^2$.
        Add $\beta \sum_m T^2\, \mathrm{KL}(\text{teacher } m \,\Vert\, \text{fused})$, softened by
            $T$.
        Backward pass; in the first stages only one weak encoder keeps its gradient.
        Make the optimizer's step.
        """,
    "greedy": r"""
        Forward pass of the encoders; gates $g_m$ from all features together.
        While re-balancing, the chosen modality's $g_m$ is its running average.
        $h_m \leftarrow h_m \odot g_m$; fuse; loss of the fused logits; backward pass.
        In regular steps: speeds $s_m$, gates' against branch's relative gradient.
        A lead of more than `threshold`: re-balance the fastest for `window` steps.
        Steps of the model's optimizer and of the gates'.
        """,
    "amco": r"""
        Forward pass of the encoders: features $h_m$.
        Masked part $p_t$, by the epoch $t$: $\sin(\frac\pi2 \min(1, \ell_t / \varepsilon))$.
        Of modalities the model depended on: $p_t$ of the units zero, the rest scaled up.
        $\mathrm{CE}(F(h), y)$ plus $\text{weight} \sum_m \mathrm{CE}(z_m, y)$; backward
            pass.
        Depends on $m$, for the next step: more than $\sigma$ of the joint softmax is $m$'s.
        Make the optimizer's step.
        """,
}
